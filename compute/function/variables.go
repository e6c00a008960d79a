package function

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway/slipway/compute"
)

// Where a function finds things, as on AWS.
const (
	taskRoot    = "/var/task"
	layerRoot   = "/opt"
	runtimeRoot = "/var/runtime"
)

// folders are what the environment is shown.
func (e *environment) folders() []compute.Folder {
	folders := []compute.Folder{{At: taskRoot, From: []string{e.spec.Code}}}
	if len(e.spec.Layers) > 0 {
		folders = append(folders, compute.Folder{At: layerRoot, From: e.spec.Layers})
	}
	if dir := e.host.runtimes.folder(e.runtime); dir != "" {
		folders = append(folders, compute.Folder{At: runtimeRoot, From: []string{dir}})
	}
	return folders
}

// variables are the environment of the runtime: "Using Lambda environment
// variables". The function's own give way to those that are reserved.
func (e *environment) variables() []string {
	s, at := &e.spec, e.enc.Path
	task, opt, run := at(taskRoot), at(layerRoot), at(runtimeRoot)
	vars := map[string]string{
		"PATH":            "/usr/local/bin:/usr/bin:/bin:" + opt + "/bin",
		"LD_LIBRARY_PATH": strings.Join([]string{"/lib64", "/usr/lib64", run, run + "/lib", task, task + "/lib", opt + "/lib"}, ":"),
		"LANG":            "C.UTF-8",
		"TZ":              ":UTC",
		"TMPDIR":          at("/tmp"),
	}
	maps.Copy(vars, e.runtime.variables(task, opt, run))
	maps.Copy(vars, s.Environment)
	maps.Copy(vars, map[string]string{
		"_HANDLER":                        s.Handler,
		"LAMBDA_TASK_ROOT":                task,
		"LAMBDA_RUNTIME_DIR":              run,
		"AWS_LAMBDA_RUNTIME_API":          e.enc.Listener().Addr().String(),
		"AWS_LAMBDA_FUNCTION_NAME":        s.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     s.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.FormatInt(s.Memory>>20, 10),
		"AWS_LAMBDA_LOG_GROUP_NAME":       s.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      e.stream,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
	})
	if s.Region != "" {
		vars["AWS_REGION"], vars["AWS_DEFAULT_REGION"] = s.Region, s.Region
	}
	if e.runtime.Program != "" {
		vars["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + e.runtime.Name
	}
	list := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		list = append(list, name+"="+vars[name])
	}
	return list
}

// variables are those by which an interpreter finds modules.
func (r Runtime) variables(task, opt, run string) map[string]string {
	switch r.kind() {
	case kindPython:
		return map[string]string{
			"PYTHONPATH": run, "PYTHONDONTWRITEBYTECODE": "1",
			"SLIPWAY_LAYERS": opt, "SLIPWAY_TASK": task,
		}
	case kindNode:
		return map[string]string{"NODE_PATH": strings.Join([]string{
			path.Join(opt, "nodejs", "node"+strings.TrimSuffix(strings.TrimPrefix(r.Name, "nodejs"), ".x"), "node_modules"),
			path.Join(opt, "nodejs", "node_modules"), path.Join(run, "node_modules"),
		}, ":")}
	}
	return nil
}

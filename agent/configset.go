package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxConfigs bounds what config sets that name each other can become.
const maxConfigs = 10000

// chosenConfigs names the configs of the chosen sets, in order. Without sets
// there is one named "config".
func chosenConfigs(init map[string]json.RawMessage, sets string) ([]string, error) {
	const setsKey = "configSets"
	if sets == "" {
		sets = "default"
	}
	defined := map[string]json.RawMessage{}
	if raw, ok := init[setsKey]; ok {
		if err := json.Unmarshal(raw, &defined); err != nil {
			return nil, fmt.Errorf("%s: want an object of lists: %w", setsKey, err)
		}
	} else {
		defined["default"] = json.RawMessage(`"config"`)
	}
	s := setReader{init: init, sets: defined}
	for name := range strings.SplitSeq(sets, ",") {
		if err := s.set(strings.TrimSpace(name)); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

type setReader struct {
	init, sets map[string]json.RawMessage
	within     []string // sets being read, from the outside in
	out        []string
}

func (s *setReader) set(name string) error {
	raw, ok := s.sets[name]
	if !ok {
		return fmt.Errorf("no ConfigSet named %s exists", name)
	}
	if slices.Contains(s.within, name) {
		return fmt.Errorf("config sets go in a circle: %s", strings.Join(append(s.within, name), ", "))
	}
	s.within = append(s.within, name)
	err := s.member(raw)
	s.within = s.within[:len(s.within)-1]
	return err
}

// member reads a config's name, a reference to a set, or a list of those.
func (s *setReader) member(raw json.RawMessage) error {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		for _, m := range list {
			if err := s.member(m); err != nil {
				return err
			}
		}
		return nil
	}
	var ref struct{ ConfigSet string }
	if json.Unmarshal(raw, &ref) == nil && ref.ConfigSet != "" {
		return s.set(ref.ConfigSet)
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil || name == "" {
		return fmt.Errorf(`config set %s: want names of configs or {"ConfigSet": name}`, s.within[len(s.within)-1])
	}
	if _, ok := s.init[name]; !ok {
		return fmt.Errorf("no configuration found with name: %s", name)
	}
	if len(s.out) == maxConfigs {
		return errors.New("too many configs")
	}
	s.out = append(s.out, name)
	return nil
}

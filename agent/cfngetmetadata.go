package agent

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// CfnGetMetadata prints a resource's metadata, or one key of it, as JSON
// ("cfn-get-metadata", CloudFormation User Guide).
func CfnGetMetadata(args []string, stdout, stderr io.Writer) int {
	err := getMetadata(args, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "cfn-get-metadata:", err)
	return 1
}

func getMetadata(args []string, stdout, stderr io.Writer) error {
	var c cfnFlags
	var key string
	f := flag.NewFlagSet("cfn-get-metadata", flag.ContinueOnError)
	f.SetOutput(stderr)
	c.register(f)
	textFlag(f, &key, "`key` of the metadata; dots lead into it", "k", "key")
	if err := c.parse(f, args); err != nil {
		return err
	}
	if c.stack == "" || c.resource == "" {
		return errors.New("give --stack and --resource")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	r, err := c.client().describe(ctx, c.resource)
	if err != nil {
		return err
	}
	m, err := r.metadata()
	if err != nil {
		return err
	}
	v, ok := lookUp(m, key)
	if !ok {
		return fmt.Errorf("the metadata of %s has no %q", c.resource, key)
	}
	if text, ok := v.(string); ok {
		_, err = fmt.Fprintln(stdout, text)
		return err
	}
	e := json.NewEncoder(stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "    ")
	return e.Encode(v)
}

//go:build !linux

package agent

import "errors"

func nameHost(string) error { return errors.New("only instances on Linux can be given a name") }

package lambda

import "github.com/slipway/slipway/store"

func taggedMapping(tx store.Tx, resource string) (*taggable, error) { return nil, nil }

func mappedFunction(tx store.Tx, resource string) (string, error) { return "", nil }

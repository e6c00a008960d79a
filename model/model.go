// Package model holds facts that AWS publishes: service models, which apigen
// reads, and CloudFormation resource schemas, which this package embeds. It
// imports nothing of ours and starts no goroutine.
package model

import (
	"embed"
	"io/fs"
	"sort"
	"strings"
)

//go:embed schemas/*.json
var schemas embed.FS

//go:embed resource-type-names.txt
var names string

// Schemas holds a file per resource type, named as SchemaFile says, in its root.
var Schemas fs.FS = sub()

func sub() fs.FS {
	f, err := fs.Sub(schemas, "schemas")
	if err != nil {
		panic(err) // the name is a constant of this file
	}
	return f
}

// SchemaFile names a type's file: AWS::SQS::Queue is "aws-sqs-queue.json".
func SchemaFile(resourceType string) string {
	return strings.ToLower(strings.ReplaceAll(resourceType, "::", "-")) + ".json"
}

// Schema returns the resource schema of a type, as JSON. ok is false where we
// keep none.
func Schema(resourceType string) (schema []byte, ok bool) {
	b, err := schemas.ReadFile("schemas/" + SchemaFile(resourceType))
	return b, err == nil
}

// ResourceTypeNames lists, in order, every resource type that AWS has in
// us-east-1, whether or not we keep its schema.
func ResourceTypeNames() []string {
	return strings.Split(strings.TrimSuffix(names, "\n"), "\n")
}

// IsResourceType reports whether AWS has a resource type of that name.
func IsResourceType(name string) bool {
	all := ResourceTypeNames()
	i := sort.SearchStrings(all, name)
	return i < len(all) && all[i] == name
}

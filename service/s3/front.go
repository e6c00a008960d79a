package s3

import "context"

type frontKey struct{}

// fronted is what the front tells the rest of the pipeline of a request.
type fronted struct {
	form bool // it came as a browser's form
	cors bool // a rule of the bucket allows its origin
}

func frontOf(ctx context.Context) fronted {
	f, _ := ctx.Value(frontKey{}).(fronted)
	return f
}

// posted reports whether an object came by a browser's form.
func posted(ctx context.Context) bool { return frontOf(ctx).form }

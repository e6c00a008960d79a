package s3

import (
	"reflect"
	"testing"
)

// A field that a clone shares with what is remembered would let one call change
// what others read. Whoever adds such a field copies it in clone.
func TestACloneOfABucketSharesNothing(t *testing.T) {
	b := &bucket{}
	v := reflect.ValueOf(b).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case reflect.Map:
			f.Set(reflect.MakeMap(f.Type()))
		}
	}
	c := reflect.ValueOf(b.clone()).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if f.Pointer() == c.Field(i).Pointer() {
				t.Errorf("bucket.clone does not copy %s", v.Type().Field(i).Name)
			}
		}
	}
}

func TestABucketsRecordIsReadAnewWhenItChanges(t *testing.T) {
	f := newFixture(t).bucket("bkt")
	for _, status := range []string{enabled, suspended, enabled} {
		noError(t, f.change(f.ctx, "bkt", "", func(b *bucket) error { b.Versioning = status; return nil }))
		b, err := f.Service.bucket(f.ctx, "bkt", "")
		if err != nil || b.Versioning != status {
			t.Fatalf("versioning = %q, %v; want %q", b.Versioning, err, status)
		}
		b.Versioning = "changed by a caller"
	}
}

package guard

import (
	"strings"
	"unicode"
)

// exact is the form of keys that are written as the query has them.
const exact = -1

// formsOf are other forms in which documents write a key: bucketName, bucket-name,
// BucketName, bucket_name, Bucket Name, Bucket-Name. A query that has met one of them
// looks for the same from there on.
func (e *evaluation) formsOf(key string) []string {
	if forms, there := e.forms[key]; there {
		return forms
	}
	words := wordsOf(key)
	lower, title := make([]string, len(words)), make([]string, len(words))
	for i, w := range words {
		lower[i] = strings.ToLower(w)
		r := []rune(lower[i])
		r[0] = unicode.ToUpper(r[0])
		title[i] = string(r)
	}
	forms := []string{
		"", strings.Join(lower, "-"), strings.Join(title, ""), strings.Join(lower, "_"), strings.Join(title, " "), strings.Join(title, "-"),
	}
	if len(words) > 0 {
		forms[0] = lower[0] + strings.Join(title[1:], "")
	}
	e.forms[key] = forms
	return forms
}

// wordsOf cuts a key where its case changes, and at what is neither letter nor digit.
func wordsOf(key string) (words []string) {
	letters := []rune(key)
	from := 0
	cut := func(to int) {
		if to > from {
			words = append(words, string(letters[from:to]))
		}
		from = to
	}
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			cut(i)
			from = i + 1
		case i > from && unicode.IsUpper(r) && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])):
			cut(i)
		}
	}
	cut(len(letters))
	return words
}

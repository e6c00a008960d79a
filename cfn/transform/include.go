package transform

import (
	"strings"

	"github.com/slipway/slipway/cfn/template"
)

// include puts a snippet from S3 among a fragment's members.
func (p *processor) include(c call, fragment *template.Node) *template.Node {
	const failed = "Transform AWS::Include failed with: "
	location := ""
	if l := c.params.Get("Location"); l != nil {
		location, _ = p.values(l).(string)
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	if !strings.HasPrefix(location, "s3://") || bucket == "" || key == "" {
		p.fail(c.at, failed+"The location parameter is not a valid S3 uri.")
		return fragment
	}
	if p.in.Hosts.Include == nil {
		p.fail(c.at, failed+"this Slipway has no S3")
		return fragment
	}
	body, err := p.in.Hosts.Include(location)
	if err != nil {
		if t := text(err); t != "" {
			p.fail(c.at, failed+"%s", t)
		} else {
			p.err = err
		}
		return fragment
	}
	made, problems := template.Read(body)
	if len(problems) == 0 && len(template.Transforms(made)) > 0 {
		p.fail(c.at, failed+"what is included asks for transforms")
		return fragment
	}
	if len(problems) > 0 || made.Kind != template.Map && len(fragment.Entries) > 0 {
		why := ""
		if len(problems) > 0 {
			why = " (" + problems[0].String() + ")"
		}
		p.fail(c.at, failed+"The specified S3 object's content should be valid Yaml/JSON%s", why)
		return fragment
	}
	made.Place(c.at)
	return merge(fragment, made)
}

// merge puts the members of a snippet among those of a fragment, maps that both
// have member by member. Otherwise what both have is the snippet's.
func merge(fragment, made *template.Node) *template.Node {
	if fragment.Kind != template.Map || made.Kind != template.Map {
		return made
	}
	entries := append([]template.Entry(nil), fragment.Entries...)
	at := make(map[string]int, len(entries))
	for i := range entries {
		at[entries[i].Key] = i
	}
	for _, e := range made.Entries {
		if i, ok := at[e.Key]; ok {
			entries[i].Value = merge(entries[i].Value, e.Value)
			continue
		}
		entries = append(entries, e)
	}
	return template.MapOf(fragment, entries)
}

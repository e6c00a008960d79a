package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	scannedQueue = "crash-harness-scanned"
	// mostScans of a run: an account has a hundred a day.
	mostScans = 90
)

// scans is use of the IaC generator: a scan that was acknowledged comes to its end and
// has found what is there once; a template that was acknowledged is generated.
type scans struct {
	queueURL string
	n        int
	id       string // of the round's scan, "" before it was acknowledged
	template string // name of the round's
	acked    bool   // the template
	active   bool
}

func newScans(ctx context.Context, c *client) (*scans, error) {
	var q struct{ QueueUrl string }
	err := c.json(ctx, "sqs", "CreateQueue", map[string]any{"QueueName": scannedQueue}, &q)
	return &scans{queueURL: q.QueueUrl}, err
}

func (s *scans) owned(i inventory) { i.add("AWS::SQS::Queue", s.queueURL) }

func (s *scans) flow(ctx context.Context, c *client) error {
	s.n++
	s.id, s.template, s.acked, s.active = "", "crash-"+strconv.Itoa(s.n), false, true
	return repeat(ctx, c, 1, s.generate, s.scan)
}

func (s *scans) scan(ctx context.Context, c *client) error {
	if s.n > mostScans {
		return nil
	}
	out, err := c.query(ctx, "cloudformation", "StartResourceScan")
	if err == nil {
		s.id = out.text("ResourceScanId")
	}
	return err
}

func (s *scans) generate(ctx context.Context, c *client) error {
	const at = "Resources.member.1."
	_, err := c.query(ctx, "cloudformation", "CreateGeneratedTemplate", "GeneratedTemplateName", s.template,
		at+"ResourceType", "AWS::SQS::Queue", at+"LogicalResourceId", "Scanned",
		at+"ResourceIdentifier.entry.1.key", "QueueUrl", at+"ResourceIdentifier.entry.1.value", s.queueURL)
	s.acked = err == nil
	return err
}

func (s *scans) check(ctx context.Context, c *client) (wrong []string, err error) {
	if !s.active {
		return nil, nil
	}
	s.active = false
	for _, look := range []func(context.Context, *client) ([]string, error){s.scanned, s.generated} {
		more, err := look(ctx, c)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, more...)
	}
	return wrong, nil
}

// scanned waits for the end of all scans, and looks for the queue in the round's.
func (s *scans) scanned(ctx context.Context, c *client) (wrong []string, err error) {
	var ids []string
	err = poll(ctx, c, func() (bool, error) {
		out, err := c.query(ctx, "cloudformation", "ListResourceScans")
		if err != nil {
			return false, err
		}
		ids, wrong = out.texts("ResourceScanSummaries/member/ResourceScanId"), nil
		statuses := out.texts("ResourceScanSummaries/member/Status")
		for i, status := range statuses {
			if status != "COMPLETE" {
				wrong = append(wrong, fmt.Sprintf("scan %s is %s", ids[i], status))
			}
		}
		return !slices.Contains(statuses, "IN_PROGRESS"), nil
	})
	if err != nil || len(wrong) > 0 || s.id == "" {
		return wrong, err
	}
	if !slices.Contains(ids, s.id) {
		return []string{"scan " + s.id + " was acknowledged and is lost"}, nil
	}
	out, err := c.query(ctx, "cloudformation", "ListResourceScanResources", "ResourceScanId", s.id, "ResourceIdentifier", s.queueURL)
	if err != nil {
		return nil, err
	}
	if found := out.texts("Resources/member/ResourceIdentifier/entry/value"); len(found) != 1 || found[0] != s.queueURL {
		wrong = append(wrong, fmt.Sprintf("scan %s has found %v, not the queue %s once", s.id, found, s.queueURL))
	}
	return wrong, nil
}

// generated waits for the end of the round's template, reads it and deletes it.
func (s *scans) generated(ctx context.Context, c *client) (wrong []string, err error) {
	status := ""
	err = poll(ctx, c, func() (bool, error) {
		out, err := c.query(ctx, "cloudformation", "DescribeGeneratedTemplate", "GeneratedTemplateName", s.template)
		if err != nil {
			return false, err
		}
		status = out.text("Status")
		return status != "CREATE_PENDING" && status != "CREATE_IN_PROGRESS", nil
	})
	if refused(err, "GeneratedTemplateNotFound") && !s.acked {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("generated template %s (acknowledged: %v): %w", s.template, s.acked, err)
	}
	if status != "COMPLETE" {
		return []string{fmt.Sprintf("generated template %s is %s", s.template, status)}, nil
	}
	out, err := c.query(ctx, "cloudformation", "GetGeneratedTemplate", "GeneratedTemplateName", s.template)
	if err != nil {
		return nil, err
	}
	if body := out.text("TemplateBody"); strings.Count(body, scannedQueue) != 1 {
		wrong = append(wrong, fmt.Sprintf("generated template %s does not have the queue once:\n%s", s.template, body))
	}
	if out, err = c.query(ctx, "cloudformation", "ListGeneratedTemplates"); err != nil {
		return nil, err
	}
	if names := out.texts("Summaries/member/GeneratedTemplateName"); len(names) != 1 || names[0] != s.template {
		wrong = append(wrong, fmt.Sprintf("the generated templates are %v, want %s alone", names, s.template))
	}
	_, err = c.query(ctx, "cloudformation", "DeleteGeneratedTemplate", "GeneratedTemplateName", s.template)
	return wrong, err
}

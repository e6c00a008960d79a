package crash

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/slipway/slipway/arn"
)

// mostMachines bounds how many instances one round launches.
const mostMachines = 3

// machines is use of EC2 beside the stacks: an instance whose launch was
// acknowledged runs in the end, with its volume at it; a launch that is repeated
// under its token makes no second one; what was terminated stays so.
type machines struct {
	n       int
	disks   int
	sent    map[string]string // the id that was acknowledged, or "", by client token
	ended   map[string]bool   // terminations that were acknowledged, or asked for without an answer, by instance
	volumes map[string]string // likewise volumes, by client token
	image   string
}

func newMachines(ctx context.Context, c *client) (*machines, error) {
	out, err := c.query(ctx, "ec2", "DescribeImages", "Owner.1", "amazon")
	if err != nil {
		return nil, err
	}
	m := &machines{image: out.text("imagesSet/item/imageId")}
	m.forget()
	return m, nil
}

func (m *machines) forget() {
	m.sent, m.ended, m.volumes = map[string]string{}, map[string]bool{}, map[string]string{}
}

// owned adds nothing: what a round launches ends before resources are counted.
func (m *machines) owned(inventory) {}

func (m *machines) flow(ctx context.Context, c *client) error {
	return repeat(ctx, c, mostMachines, m.volume, m.launch)
}

func (m *machines) run(ctx context.Context, c *client, token string) (string, error) {
	out, err := c.query(ctx, "ec2", "RunInstances", "ImageId", m.image, "InstanceType", "t3.nano",
		"MinCount", "1", "MaxCount", "1", "ClientToken", token)
	if err != nil {
		return "", err
	}
	return out.text("instancesSet/item/instanceId"), nil
}

func (m *machines) makeVolume(ctx context.Context, c *client, token string) (string, error) {
	out, err := c.query(ctx, "ec2", "CreateVolume", "AvailabilityZone", arn.DefaultRegion+"a", "Size", "1", "ClientToken", token)
	if err != nil {
		return "", err
	}
	return out.text("volumeId"), nil
}

func (m *machines) volume(ctx context.Context, c *client) error {
	// Never that of an earlier volume, which may be on its way out yet.
	m.disks++
	token := "crash-volume-" + strconv.Itoa(m.disks)
	m.volumes[token] = ""
	id, err := m.makeVolume(ctx, c, token)
	if refused(err, "UnsupportedOperation") {
		delete(m.volumes, token) // the process driver has no volumes
		return nil
	}
	m.volumes[token] = id
	return err
}

func (m *machines) launch(ctx context.Context, c *client) error {
	m.n++
	token := "crash-" + strconv.Itoa(m.n)
	m.sent[token] = ""
	id, err := m.run(ctx, c, token)
	if err != nil {
		return err
	}
	m.sent[token] = id
	if m.n%2 == 0 { // every other one ends at once
		m.ended[id] = false
		if _, err := c.query(ctx, "ec2", "TerminateInstances", "InstanceId.1", id); err != nil {
			return err
		}
		m.ended[id] = true
	}
	return nil
}

func (m *machines) check(ctx context.Context, c *client) (wrong []string, err error) {
	defer m.forget()
	for token, acked := range m.sent {
		found, err := m.checkInstance(ctx, c, token, acked)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, found...)
	}
	for token, acked := range m.volumes {
		id, err := m.makeVolume(ctx, c, token)
		if err != nil {
			return nil, err
		}
		if acked != "" && acked != id {
			wrong = append(wrong, fmt.Sprintf("%s made volume %s and, repeated, %s", token, acked, id))
		}
		if state, err := m.reach(ctx, c, "available", "DescribeVolumes", "VolumeId.1", id, "volumeSet/item/status"); err != nil || state != "available" {
			return append(wrong, fmt.Sprintf("volume %s is %q", id, state)), err
		}
		if _, err := c.query(ctx, "ec2", "DeleteVolume", "VolumeId", id); err != nil {
			return nil, err
		}
	}
	return wrong, nil
}

func (m *machines) checkInstance(ctx context.Context, c *client, token, acked string) (wrong []string, err error) {
	id, err := m.run(ctx, c, token)
	if err != nil {
		return nil, err
	}
	if acked != "" && acked != id {
		wrong = append(wrong, fmt.Sprintf("the launch %s made instance %s and, repeated, %s", token, acked, id))
	}
	ended, asked := m.ended[id]
	want := "running"
	if ended {
		want = "terminated"
	}
	state, err := m.state(ctx, c, id, want)
	if err != nil {
		return nil, err
	}
	if state != want && !(asked && state == "terminated") {
		wrong = append(wrong, fmt.Sprintf("instance %s of launch %s is %q, not %s", id, token, state, want))
	}
	if _, err := c.query(ctx, "ec2", "TerminateInstances", "InstanceId.1", id); err != nil {
		return nil, err
	}
	if state, err := m.state(ctx, c, id, "terminated"); err != nil || state != "terminated" {
		return append(wrong, fmt.Sprintf("instance %s does not end: %s", id, state)), err
	}
	return wrong, nil
}

func (m *machines) state(ctx context.Context, c *client, id, want string) (string, error) {
	return m.reach(ctx, c, want, "DescribeInstances", "InstanceId.1", id, "reservationSet/item/instancesSet/item/instanceState/name")
}

// reach waits until a thing is in a state, or has ended.
func (m *machines) reach(ctx context.Context, c *client, want, action, param, id, path string) (string, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := c.query(ctx, "ec2", action, param, id)
		if err != nil {
			return "", err
		}
		if state := out.text(path); state == want || state == "terminated" || state == "" {
			return state, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%s of %s: %w", action, id, ctx.Err())
		}
	}
}

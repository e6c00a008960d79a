package secretsmanager

import (
	"context"
	"slices"
	"strings"
	"time"

	api "github.com/slipway/slipway/api/secretsmanager"
	"github.com/slipway/slipway/fault"
)

// The staging labels that the service moves by itself.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// "AWS Secrets Manager quotas", AWS Secrets Manager User Guide, and
// "PutSecretValue", API Reference: 100 versions are kept and all of the last 24
// hours. A secret that gets a new one every 10 minutes, which is what AWS advises as
// the most, has 144 of them.
const (
	keptVersions = 100
	keptFor      = 24 * time.Hour
	maxVersions  = 150
	maxStages    = 20 // of all versions
)

// take takes a stage off the version that has it, and returns that.
func (sec *secret) take(stage string) *version {
	v := sec.at(stage)
	if v != nil {
		v.Stages = slices.DeleteFunc(v.Stages, func(s string) bool { return s == stage })
	}
	return v
}

// attach gives a version a stage. That which was current becomes the previous one.
func (sec *secret) attach(v *version, stage string) {
	if slices.Contains(v.Stages, stage) {
		return
	}
	was := sec.take(stage)
	v.Stages = append(v.Stages, stage)
	slices.Sort(v.Stages)
	if stage == current && was != nil {
		sec.attach(was, previous)
	}
}

// checkStages refuses more staging labels than a secret may have.
func (sec *secret) checkStages() error {
	n := 0
	for _, v := range sec.Versions {
		n += len(v.Stages)
	}
	if n > maxStages {
		return fault.New(fault.LimitExceededException, "You have exceeded the number of staging labels that can be attached to the versions of a secret: %d.", maxStages)
	}
	return nil
}

// prune drops the oldest versions that no stage names, where there are too many,
// and returns their ids.
func (sec *secret) prune(now time.Time) (gone []string) {
	excess := len(sec.Versions) - keptVersions
	sec.Versions = slices.DeleteFunc(sec.Versions, func(v version) bool {
		if excess <= 0 || len(v.Stages) > 0 || now.Sub(v.Created) < keptFor {
			return false
		}
		excess--
		gone = append(gone, v.ID)
		return true
	})
	return gone
}

// UpdateSecretVersionStage moves a staging label from one version to another, puts
// it on a version, or takes it off one.
func (s *Service) UpdateSecretVersionStage(ctx context.Context, in *api.UpdateSecretVersionStageInput) (*api.UpdateSecretVersionStageOutput, error) {
	full, name, err := s.change(ctx, in.SecretId, in, func(_ place, sec *secret) error { return sec.restage(in) })
	if err != nil {
		return nil, err
	}
	return &api.UpdateSecretVersionStageOutput{ARN: full, Name: name}, nil
}

func (sec *secret) restage(in *api.UpdateSecretVersionStageInput) error {
	if in.RemoveFromVersionId == "" && in.MoveToVersionId == "" {
		return invalid("You must provide a value for MoveToVersionId, RemoveFromVersionId, or both.")
	}
	for _, id := range []string{in.RemoveFromVersionId, in.MoveToVersionId} {
		if id != "" && sec.version(id) == nil {
			return noValue("VersionId", id)
		}
	}
	holder := sec.at(in.VersionStage)
	switch {
	case holder != nil && in.RemoveFromVersionId == "" && holder.ID != in.MoveToVersionId:
		return invalid("The parameter RemoveFromVersionId can't be empty. Staging label %s is currently attached to version %s, so you must explicitly reference that version in RemoveFromVersionId.",
			in.VersionStage, holder.ID)
	case in.RemoveFromVersionId != "" && (holder == nil || holder.ID != in.RemoveFromVersionId):
		return invalid("Staging label %s isn't attached to version %s, which RemoveFromVersionId references.", in.VersionStage, in.RemoveFromVersionId)
	case in.VersionStage == current && in.MoveToVersionId == "":
		return invalid("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case in.MoveToVersionId == "":
		sec.take(in.VersionStage)
	default:
		sec.attach(sec.version(in.MoveToVersionId), in.VersionStage)
	}
	return sec.checkStages()
}

// checkLabels refuses staging labels that no caller may give.
func checkLabels(stages []string) error {
	for _, stage := range stages {
		if strings.TrimSpace(stage) == "" {
			return invalid("A staging label must have characters other than spaces.")
		}
	}
	return nil
}

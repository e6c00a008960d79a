package iam

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"time"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/fault"
	"github.com/slipway/slipway/store"
)

// report is an account's credential report.
type report struct {
	At      time.Time
	Content []byte
}

var reports = store.NewCollection[report]("iam/credentialreport")

// reportAge is how long a report is given out before it is made anew ("Getting
// credential reports for your AWS account", IAM User Guide).
const reportAge = 4 * time.Hour

var reportColumns = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

// GenerateCredentialReport makes the report, unless there is a young one.
func (s *Service) GenerateCredentialReport(ctx context.Context, _ *api.GenerateCredentialReportInput) (*api.GenerateCredentialReportOutput, error) {
	account := auth.From(ctx).Scope.Account
	err := s.store.Update(ctx, func(tx store.Tx) error {
		now := s.now().UTC().Truncate(time.Second)
		switch r, err := reports.Get(tx, account); {
		case err == nil && now.Sub(r.At) < reportAge:
			return nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
		content, err := s.credentialReport(tx, account)
		if err != nil {
			return err
		}
		return reports.Put(tx, account, &report{now, content})
	})
	if err != nil {
		return nil, err
	}
	return &api.GenerateCredentialReportOutput{State: api.ReportStateTypeComplete}, nil
}

// GetCredentialReport gives the report that was made.
func (s *Service) GetCredentialReport(ctx context.Context, _ *api.GetCredentialReportInput) (*api.GetCredentialReportOutput, error) {
	var r *report
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		r, err = reports.Get(tx, auth.From(ctx).Scope.Account)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.ReportNotPresent, "No report exists. Please call GenerateCredentialReport to create one.")
	}
	if err != nil {
		return nil, err
	}
	if s.now().Sub(r.At) >= reportAge {
		return nil, fault.New(fault.ReportExpired, "The most recent credential report has expired. Please call GenerateCredentialReport to create a new one.")
	}
	return &api.GetCredentialReportOutput{Content: r.Content, ReportFormat: api.ReportFormatTypeTextCsv, GeneratedTime: &r.At}, nil
}

// credentialReport writes the CSV: the root user, then every user by name.
func (s *Service) credentialReport(tx store.Tx, account string) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	root, err := s.rootRow(tx, account)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.Write(reportColumns), w.Write(root)); err != nil {
		return nil, err
	}
	policy, err := passwordPolicyOf(tx, account)
	if err != nil {
		return nil, err
	}
	for e, err := range users.Scan(tx, account+"/") {
		if err != nil {
			return nil, err
		}
		row, err := s.userRow(tx, account, e.Value, policy)
		if err != nil {
			return nil, err
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

const (
	notApplicable = "N/A"
	notSupported  = "not_supported"
)

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (s *Service) rootRow(tx store.Tx, account string) ([]string, error) {
	key, err := auth.RootKeyOf(tx, account)
	row := []string{
		"<root_account>", auth.RootOf(account).ARN, notApplicable, notSupported, notApplicable, notSupported, notSupported, "false",
		yes(key != ""), notApplicable, notApplicable, notApplicable, notApplicable,
		"false", notApplicable, notApplicable, notApplicable, notApplicable, "false", notApplicable, "false", notApplicable,
	}
	return row, err
}

func (s *Service) userRow(tx store.Tx, account string, u *user, policy *passwordPolicy) ([]string, error) {
	row := []string{u.Name, u.arn(account), stamp(u.Created)}
	login, err := loginOf(tx, account, u)
	switch {
	case fault.Is(err, fault.NoSuchEntity):
		row = append(row, "false", notApplicable, notApplicable, notApplicable)
	case err != nil:
		return nil, err
	default:
		next := notApplicable
		if at, ok := policy.expires(login.Changed); ok {
			next = stamp(at)
		}
		row = append(row, "true", "no_information", stamp(login.Changed), next)
	}
	secured, err := hasDevice(tx, account, u)
	if err != nil {
		return nil, err
	}
	row = append(row, yes(secured))
	keys, err := keysOf(tx, account, u.Name)
	if err != nil {
		return nil, err
	}
	for i := range maxAccessKeys {
		if i >= len(keys) {
			row = append(row, "false", notApplicable, notApplicable, notApplicable, notApplicable)
			continue
		}
		use, err := s.lastUse(tx, "key/"+keys[i].ID)
		if err != nil {
			return nil, err
		}
		row = append(row, yes(keys[i].Status == api.StatusTypeActive), stamp(keys[i].Created))
		if use == nil {
			row = append(row, notApplicable, notApplicable, notApplicable)
		} else {
			row = append(row, stamp(use.At), use.Region, use.Service)
		}
	}
	certs, err := signingCerts.of(tx, account, u)
	if err != nil {
		return nil, err
	}
	for i := range signingCerts.limit {
		if i < len(certs) {
			row = append(row, yes(certs[i].Status == api.StatusTypeActive), stamp(certs[i].Uploaded))
		} else {
			row = append(row, "false", notApplicable)
		}
	}
	return row, nil
}

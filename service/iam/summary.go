package iam

import (
	"context"

	api "github.com/slipway/slipway/api/iam"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/store"
)

// maxVersionsInUse is the quota of the versions of all customer-managed policies
// of an account together.
const maxVersionsInUse = 10_000

// GetAccountSummary counts what the account has, beside its quotas.
func (s *Service) GetAccountSummary(ctx context.Context, _ *api.GetAccountSummaryInput) (*api.GetAccountSummaryOutput, error) {
	account := auth.From(ctx).Scope.Account
	var out map[string]int32
	err := s.store.View(ctx, func(tx store.Tx) error {
		out = map[string]int32{
			"UsersQuota": int32(users.limit), "GroupsQuota": int32(groups.limit), "RolesQuota": int32(roles.limit),
			"PoliciesQuota": int32(policies.limit), "InstanceProfilesQuota": int32(profiles.limit), "ServerCertificatesQuota": int32(serverCerts.limit),
			"UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline, "RolePolicySizeQuota": maxRoleInline,
			"PolicySizeQuota": maxManagedSize, "AssumeRolePolicySizeQuota": maxTrustSize, "VersionsPerPolicyQuota": maxVersions,
			"PolicyVersionsInUseQuota": maxVersionsInUse, "GroupsPerUserQuota": maxGroups, "AccessKeysPerUserQuota": maxAccessKeys,
			"SigningCertificatesPerUserQuota": int32(signingCerts.limit), "AttachedPoliciesPerUserQuota": maxAttached,
			"AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
			"GlobalEndpointTokenVersion": 1, "AccountMFAEnabled": 0,
			"AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0, "AccountAccessKeysPresent": 0,
		}
		for name, count := range map[string]func(store.Tx, string) (int, error){
			"Users": users.count, "Groups": groups.count, "Roles": roles.count, "Policies": policies.count,
			"InstanceProfiles": profiles.count, "ServerCertificates": serverCerts.count, "Providers": oidcProviders.count,
			"PolicyVersionsInUse": versionsInUse, "MFADevices": mfaDevices.count, "MFADevicesInUse": devicesInUse,
		} {
			n, err := count(tx, account)
			if err != nil {
				return err
			}
			out[name] = int32(n) //nolint:gosec // quotas keep it small
		}
		root, err := auth.RootKeyOf(tx, account)
		if root != "" {
			out["AccountAccessKeysPresent"] = 1
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.GetAccountSummaryOutput{SummaryMap: out}, nil
}

func versionsInUse(tx store.Tx, account string) (int, error) {
	n := 0
	for e, err := range policies.Scan(tx, account+"/") {
		if err != nil {
			return 0, err
		}
		n += len(e.Value.Versions)
	}
	return n, nil
}

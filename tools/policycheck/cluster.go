package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/identity/cache"
	k8s "github.com/cilium/cilium/pkg/k8s/apis/cilium.io"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
)

// clusterName is what Cilium calls a cluster that is not meshed with others.
const clusterName = "default"

// cluster is what the agent of one machine knows of who is who.
type cluster struct {
	identities cache.IdentityCache
	// members are the identities of the parties, by their places.
	members []*identity.Identity
	names   *names
}

// newCluster gives every party its identity. Those of addresses depend on the rules: an address has the identity of the
// narrowest range that a rule or a name speaks of, and that of the whole world where none does.
func newCluster(parties []party, rules api.Rules) (*cluster, error) {
	made := &cluster{identities: cache.IdentityCache{}, names: &names{}}
	identity.IterateReservedIdentities(func(_ identity.NumericIdentity, reserved *identity.Identity) {
		made.identities[reserved.ID] = reserved.LabelArray
	})
	for _, party := range parties {
		if party.Name != "" {
			made.names.known = append(made.names.known, party)
		}
	}
	ranges := made.ranges(rules)
	for i, party := range parties {
		member, err := member(party, identity.NumericIdentity(i), ranges)
		if err != nil {
			return nil, fmt.Errorf("parties[%d]: %w", i, err)
		}
		made.identities[member.ID] = member.LabelArray
		made.members = append(made.members, member)
	}
	return made, nil
}

// ranges are all that have an identity of their own, narrowest first.
func (made *cluster) ranges(rules api.Rules) []netip.Prefix {
	ranges := policy.GetCIDRPrefixes(rules)
	for _, name := range made.names.known {
		ranges = append(ranges, netip.PrefixFrom(name.Address, name.Address.BitLen()))
	}
	order := func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(b.Bits(), a.Bits()), a.Addr().Compare(b.Addr()))
	}
	slices.SortFunc(ranges, order)
	return slices.Compact(ranges)
}

func member(party party, place identity.NumericIdentity, ranges []netip.Prefix) (*identity.Identity, error) {
	switch {
	case party.Pod != nil:
		all := labels.Map2Labels(party.Pod.Labels, labels.LabelSourceK8s)
		all.MergeLabels(labels.Map2Labels(map[string]string{
			k8s.PodNamespaceLabel: party.Pod.Namespace,
			k8s.PodNamespaceMetaLabels + ".kubernetes.io/metadata.name": party.Pod.Namespace,
			k8s.PolicyLabelCluster: clusterName,
		}, labels.LabelSourceK8s))
		counting, _ := labelsfilter.Filter(all)
		return identity.NewIdentity(identity.MinimalNumericIdentity+place, counting), nil
	case party.Machine != "":
		return machine(party.Machine)
	case party.Address.IsValid():
		holds := func(known netip.Prefix) bool { return known.Contains(party.Address) }
		narrowest := slices.IndexFunc(ranges, holds)
		if narrowest < 0 {
			return identity.LookupReservedIdentity(identity.ReservedIdentityWorld), nil
		}
		own := identity.IdentityScopeLocal | identity.NumericIdentity(narrowest+1)
		return identity.NewIdentity(own, labels.GetCIDRLabels(ranges[narrowest])), nil
	default:
		return nil, errors.New("it is neither pod, machine, address nor name with an address")
	}
}

// machine finds the reserved identity of a machine as the pods of one machine see it, or of the end on it to which
// Cilium sends its health checks, which policies hold like a pod.
func machine(which string) (*identity.Identity, error) {
	reserved := map[string]identity.NumericIdentity{
		"health":        identity.ReservedIdentityHealth,
		"own":           identity.ReservedIdentityHost,
		"other":         identity.ReservedIdentityRemoteNode,
		"control-plane": identity.ReservedIdentityKubeAPIServer,
	}
	number, exists := reserved[which]
	if !exists {
		return nil, fmt.Errorf("machine %q is none of own, other, control-plane and health", which)
	}
	return identity.LookupReservedIdentity(number), nil
}

// names stands where the agent's DNS proxy does: every name was asked for, and is known with its address.
type names struct {
	sync.Mutex
	known []party
}

// RegisterForIPUpdatesLocked tells the addresses of all names that a selector means.
func (names *names) RegisterForIPUpdatesLocked(selector api.FQDNSelector) []netip.Addr {
	pattern, err := selector.ToRegex()
	if err != nil {
		return nil
	}
	var addresses []netip.Addr
	for _, name := range names.known {
		if pattern.MatchString(absolute(name.Name)) {
			addresses = append(addresses, name.Address)
		}
	}
	return addresses
}

// UnregisterForIPUpdatesLocked has nothing to forget.
func (*names) UnregisterForIPUpdatesLocked(api.FQDNSelector) {}

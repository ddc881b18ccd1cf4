package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/cilium/pkg/defaults"
	"github.com/cilium/cilium/pkg/fqdn/re"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/logging"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/trafficdirection"
	"github.com/cilium/cilium/pkg/u8proto"
	"github.com/sirupsen/logrus"
)

// configure sets what an agent has by default in a Kubernetes cluster, and what no flag sets.
func configure() error {
	option.Config.EnableIPv4 = true
	option.Config.EnableL7Proxy = true
	option.Config.EnableICMPRules = true
	option.Config.EnableRemoteNodeIdentity = true
	option.Config.AllowLocalhost = option.AllowLocalhostAlways
	policy.SetPolicyEnabled(option.DefaultEnforcement)
	logging.DefaultLogger.SetLevel(logrus.WarnLevel)
	return errors.Join(re.InitRegexCompileLRU(defaults.FQDNRegexCompileLRUSize), labelsfilter.ParseLabelPrefixCfg(nil, ""))
}

// judge answers for one set of policies.
type judge struct {
	cluster    *cluster
	repository *policy.Repository
	// of are the places of those whose policies are asked about; nil for everybody's.
	of []int
	// resolved are the policies of those pods that were asked about, by their places.
	resolved map[int]*policy.EndpointPolicy
}

func newJudge(cluster *cluster, rules api.Rules, of []int) *judge {
	repository := policy.NewStoppedPolicyRepository(nil, cluster.identities, nil, nil, api.NewPolicyMetricsNoop())
	repository.GetSelectorCache().SetLocalIdentityNotifier(cluster.names)
	repository.AddList(rules)
	return &judge{cluster: cluster, repository: repository, of: of, resolved: map[int]*policy.EndpointPolicy{}}
}

// wire is a port as it stands in a packet; of ICMP, the type is the port.
type wire struct {
	number   uint16
	protocol u8proto.U8proto
}

func protocols(ports []port) ([]wire, error) {
	wires := make([]wire, len(ports))
	for i, port := range ports {
		protocol, err := u8proto.ParseProtocol(port.Protocol)
		if err != nil {
			return nil, fmt.Errorf("ports[%d]: %w", i, err)
		}
		wires[i] = wire{number: port.Number, protocol: protocol}
	}
	return wires, nil
}

// between says on which ports one lets a call to the other out, and the other lets it in.
func (judge *judge) between(from, to int, ports []wire) (said verdict, err error) {
	if said.Egress, err = judge.passing(from, to, trafficdirection.Egress, ports); err != nil {
		return verdict{}, err
	}
	said.Ingress, err = judge.passing(to, from, trafficdirection.Ingress, ports)
	return said, err
}

// passing are the places of the ports on which a pod's policy lets a direction pass; nil where it is no pod's.
func (judge *judge) passing(subject, peer int, way trafficdirection.TrafficDirection, ports []wire) ([]int, error) {
	member := judge.cluster.members[subject]
	isEnd := member.ID == identity.ReservedIdentityHealth || !member.ID.IsReservedIdentity() && !member.ID.HasLocalScope()
	if !isEnd || judge.of != nil && !slices.Contains(judge.of, subject) {
		return nil, nil
	}
	resolved, err := judge.policyOf(subject)
	if err != nil {
		return nil, err
	}
	passing := []int{}
	for place, port := range ports {
		if entry, found := match(resolved, judge.cluster.members[peer].ID, way, port); found && !entry.IsDeny {
			passing = append(passing, place)
		}
	}
	return passing, nil
}

// policyOf resolves what all rules together mean for a pod, down to what the agent writes into its policy map.
func (judge *judge) policyOf(pod int) (*policy.EndpointPolicy, error) {
	if resolved, done := judge.resolved[pod]; done {
		return resolved, nil
	}
	judge.repository.Mutex.RLock()
	defer judge.repository.Mutex.RUnlock()
	member, policies := judge.cluster.members[pod], judge.repository.GetPolicyCache()
	policies.LocalEndpointIdentityAdded(member)
	if err := policies.UpdatePolicy(member); err != nil {
		return nil, fmt.Errorf("the policy of %s cannot be resolved: %w", member.Labels, err)
	}
	resolved := policies.Lookup(member).Consume(owner{})
	judge.resolved[pod] = resolved
	return resolved, nil
}

// match finds the entry of a pod's policy map that decides on a packet, in the order of the program in the kernel:
// the narrower port first, and of two that are equally narrow that of this very peer.
func match(
	resolved *policy.EndpointPolicy, peer identity.NumericIdentity, way trafficdirection.TrafficDirection, port wire,
) (policy.MapStateEntry, bool) {
	widening := []wire{port, {protocol: port.protocol}, {}}
	for _, ports := range widening {
		for _, who := range []identity.NumericIdentity{peer, identity.IdentityUnknown} {
			key := policy.Key{
				Identity:         who.Uint32(),
				DestPort:         ports.number,
				Nexthdr:          uint8(ports.protocol),
				TrafficDirection: way.Uint8(),
			}
			if entry, found := resolved.GetPolicyMap().Get(key); found {
				return entry, true
			}
		}
	}
	return policy.MapStateEntry{}, false
}

// owner is an endpoint of which nothing is asked but where its proxies listen.
type owner struct{}

func (owner) GetID() uint64                                             { return 0 }
func (owner) LookupRedirectPortBuildLocked(bool, string, uint16) uint16 { return 1 }
func (owner) HasBPFPolicyMap() bool                                     { return true }
func (owner) GetNamedPort(bool, string, uint8) uint16                   { return 0 }
func (owner) PolicyDebug(logrus.Fields, string)                         {}

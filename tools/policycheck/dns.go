package main

import (
	"strings"

	"github.com/cilium/cilium/pkg/fqdn/dns"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/trafficdirection"
)

// absolute is a name as it stands in a question.
func absolute(name string) string {
	return strings.ToLower(dns.FQDN(name))
}

// mayLookUp says whether a pod's question reaches the cluster's DNS and, where it goes through the DNS proxy, whether
// a rule lets that name pass.
func (judge *judge) mayLookUp(from, resolver int, port wire, name string) (bool, error) {
	reached, err := judge.passing(from, resolver, trafficdirection.Egress, []wire{port})
	if err != nil || len(reached) == 0 {
		return false, err
	}
	resolved, server := judge.resolved[from], judge.cluster.members[resolver].ID
	entry, _ := match(resolved, server, trafficdirection.Egress, port)
	if !entry.IsRedirectEntry() {
		return true, nil
	}
	for _, filter := range resolved.L4Policy.Egress.PortRules {
		if filter.L7Parser != policy.ParserTypeDNS || filter.GetPort() != port.number || filter.U8Proto != port.protocol {
			continue
		}
		for selector, rules := range filter.PerSelectorPolicies {
			if selector.Selects(server) && passes(rules, absolute(name)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// passes says whether the rules for one DNS server let a name pass; no rule at all lets every name pass.
func passes(rules *policy.PerSelectorPolicy, name string) bool {
	if rules == nil || len(rules.DNS) == 0 {
		return true
	}
	for _, rule := range rules.DNS {
		if rule.MatchPattern == "*" {
			return true
		}
		selector := api.FQDNSelector(rule)
		if pattern, err := selector.ToRegex(); err == nil && pattern.MatchString(name) {
			return true
		}
	}
	return false
}

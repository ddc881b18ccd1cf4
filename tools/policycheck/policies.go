package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	cilium "github.com/cilium/cilium/pkg/k8s/apis/cilium.io/v2"
	"github.com/cilium/cilium/pkg/policy/api"
)

// policies are those that were read before, by their text: one question is often the one before with little changed.
type policies map[string]api.Rules

// rules reads policies as the agent does, which sanitizes every rule on the way; a field that is not known is an error,
// for the API server would drop it.
func (known policies) rules(documents []json.RawMessage) (api.Rules, error) {
	var all api.Rules
	for i, document := range documents {
		if rules, read := known[string(document)]; read {
			all = append(all, rules...)
			continue
		}
		var head struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(document, &head); err != nil {
			return nil, fmt.Errorf("policies[%d]: %w", i, err)
		}
		name := fmt.Sprintf("%s %s/%s", head.Kind, head.Metadata.Namespace, head.Metadata.Name)
		parsed, err := parse(head.Kind, document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		known[string(document)] = parsed
		all = append(all, parsed...)
	}
	return all, nil
}

func parse(kind string, document json.RawMessage) (api.Rules, error) {
	strict := json.NewDecoder(bytes.NewReader(document))
	strict.DisallowUnknownFields()
	switch kind {
	case "CiliumNetworkPolicy":
		var policy cilium.CiliumNetworkPolicy
		if err := strict.Decode(&policy); err != nil {
			return nil, err
		}
		return policy.Parse()
	case "CiliumClusterwideNetworkPolicy":
		var policy cilium.CiliumClusterwideNetworkPolicy
		if err := strict.Decode(&policy); err != nil {
			return nil, err
		}
		return policy.Parse()
	default:
		return nil, fmt.Errorf("%q is no kind of Cilium's network policies", kind)
	}
}

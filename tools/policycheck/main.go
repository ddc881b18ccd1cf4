// Command policycheck says what Cilium makes of network policies: it loads them into Cilium's own policy repository, as
// the agent does, and answers who may call whom.
//
// It reads JSON documents from standard input until its end, and answers each with one line of JSON:
//
//	{"policies": [{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", …}],
//	 "parties": [{"pod": {"namespace": "shop", "labels": {"app": "web"}}}, {"machine": "control-plane"},
//	             {"address": "1.1.1.1"}, {"name": "example.com", "address": "203.0.113.1"}],
//	 "ports": [{"number": 443, "protocol": "TCP"}],
//	 "pairs": [[0, 1]], "of": [0],
//	 "lookups": [{"from": 0, "resolver": 0, "port": 0, "name": "example.com"}]}
//
//	{"verdicts": [{"egress": [0], "ingress": null}], "lookups": [false]}
//
// Parties and ports are named by their place in their lists. A verdict holds, for each direction, the ports on which
// Cilium lets the call pass; null where no policy judges that direction because that end is no pod with its own
// network, and where "of" is given without naming that end: only the policies of those parties are worked out then. A
// call passes where both directions let it pass.
//
// A question that cannot be answered is answered by {"error": …}: a policy that the agent would refuse is one of those,
// and so is one with a field that this version does not know. The program decides nothing itself: what the agent does
// around its policy repository (identities of addresses and names, labels that count, the lookup in the policy map) is
// done here with the agent's own functions where they can be called, and as the agent's sources say where they cannot.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// question is one document of the input.
type question struct {
	Policies []json.RawMessage `json:"policies"`
	Parties  []party           `json:"parties"`
	Ports    []port            `json:"ports"`
	Pairs    [][2]int          `json:"pairs"`
	Of       []int             `json:"of"`
	Lookups  []lookup          `json:"lookups"`
}

// party is who calls or is called: a pod, a machine, an address, or a name with the address that it stands for.
type party struct {
	Pod *struct {
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"pod"`
	Machine string     `json:"machine"`
	Address netip.Addr `json:"address"`
	Name    string     `json:"name"`
}

type port struct {
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"`
}

// lookup is a question of a pod to the cluster's DNS.
type lookup struct {
	From     int    `json:"from"`
	Resolver int    `json:"resolver"`
	Port     int    `json:"port"`
	Name     string `json:"name"`
}

type answer struct {
	Verdicts []verdict `json:"verdicts"`
	Lookups  []bool    `json:"lookups"`
}

// verdict holds the places of the ports on which a call passes; nil where the direction is not judged.
type verdict struct {
	Egress  []int `json:"egress"`
	Ingress []int `json:"ingress"`
}

type refusal struct {
	Error string `json:"error"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "policycheck: %v\n", err)
		os.Exit(1)
	}
}

// serve answers every question; only input that is no JSON and output that nobody takes end it early.
func serve(in io.Reader, out io.Writer) error {
	known := policies{}
	if err := configure(); err != nil {
		return err
	}
	questions := json.NewDecoder(bufio.NewReader(in))
	questions.DisallowUnknownFields()
	answers := json.NewEncoder(out)
	for {
		var asked question
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the question cannot be read: %w", err)
		}
		var line any
		line, err := asked.answer(known)
		if err != nil {
			line = refusal{Error: err.Error()}
		}
		if err := answers.Encode(line); err != nil {
			return fmt.Errorf("the answer cannot be written: %w", err)
		}
	}
}

func (asked *question) answer(known policies) (*answer, error) {
	rules, err := known.rules(asked.Policies)
	if err != nil {
		return nil, err
	}
	numbers, err := protocols(asked.Ports)
	if err != nil {
		return nil, err
	}
	cluster, err := newCluster(asked.Parties, rules)
	if err != nil {
		return nil, err
	}
	judge := newJudge(cluster, rules, asked.Of)
	said := &answer{Verdicts: make([]verdict, len(asked.Pairs)), Lookups: make([]bool, len(asked.Lookups))}
	for i, pair := range asked.Pairs {
		if err := inside(len(asked.Parties), pair[0], pair[1]); err != nil {
			return nil, fmt.Errorf("pairs[%d]: %w", i, err)
		}
		if said.Verdicts[i], err = judge.between(pair[0], pair[1], numbers); err != nil {
			return nil, err
		}
	}
	for i, lookup := range asked.Lookups {
		err := errors.Join(inside(len(asked.Parties), lookup.From, lookup.Resolver), inside(len(numbers), lookup.Port))
		if err != nil {
			return nil, fmt.Errorf("lookups[%d]: %w", i, err)
		}
		said.Lookups[i], err = judge.mayLookUp(lookup.From, lookup.Resolver, numbers[lookup.Port], lookup.Name)
		if err != nil {
			return nil, err
		}
	}
	return said, nil
}

// inside is an error where a place is outside of its list.
func inside(length int, places ...int) error {
	for _, place := range places {
		if place < 0 || place >= length {
			return fmt.Errorf("there is no %d in a list of %d", place, length)
		}
	}
	return nil
}

//! The platform of the full example, its policies, and what the matrix expects of everybody who could meet on it.

mod cast;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use helix_crds::HelixPlatform;
use helix_plan::components;
use helix_plan::policy::render::policies;
use helix_plan::policy::{Matrix, Node, Party, Port, Protocol, cluster};
use helix_plan::validated::Layers;
use serde_json::{Value, json};

use crate::engine::{Engine, Lookup};

/// After so many differences nobody reads on.
const ENOUGH: usize = 20;

/// The platform, and who and what its policies are asked about.
pub(crate) struct Scene {
    /// The policies, and the same as they are sent.
    pub(crate) documents: Vec<Value>,
    pub(crate) policies: Vec<String>,
    /// For each pair of whom policies judge, by their places: the places of the ports on which the matrix lets a call
    /// pass.
    pub(crate) expected: BTreeMap<(usize, usize), Vec<usize>>,
    matrix: Matrix,
    parties: Vec<Asked>,
    ports: Vec<Port>,
    /// Parties and ports, as they are sent.
    people: String,
}

/// A party, and the address by which the engine knows it where it is a name or just somewhere on the internet.
struct Asked {
    party: Party,
    address: Option<IpAddr>,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parties, {} pairs, {} ports", self.parties.len(), self.expected.len(), self.ports.len())
    }
}

impl Scene {
    pub(crate) fn full() -> Self {
        let text = include_str!("../../../manifests/examples/full.yaml");
        let platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
        let layers = Layers::new(&platform).unwrap_or_else(|rejections| panic!("{rejections}"));
        let (matrix, namespaces) = (components::matrix(&layers), components::namespaces(&layers));
        let documents: Vec<Value> =
            policies(&matrix, &namespaces).iter().map(|policy| serde_json::to_value(policy).unwrap()).collect();
        let ports = cast::ports(&matrix);
        let parties: Vec<Asked> = cast::parties(&matrix, namespaces)
            .into_iter()
            .zip(0..=u8::MAX)
            .map(|(party, last)| {
                // Of these addresses no rule and no other name speaks.
                let somewhere = matches!(party, Party::Name(_) | Party::Internet);
                Asked { party, address: somewhere.then(|| IpAddr::from([192, 0, 2, last])) }
            })
            .collect();
        let expected = expected(&matrix, &parties, &ports);
        let described: Vec<Value> =
            parties.iter().map(Asked::described).chain([json!({"machine": "health"})]).collect();
        let wires: Vec<Value> = ports.iter().map(|port| wire(port.number, port.protocol.as_str())).collect();
        let people = format!("\"parties\":{},\"ports\":{}", Value::from(described), Value::from(wires));
        let policies = documents.iter().map(Value::to_string).collect();
        Self { documents, policies, expected, matrix, parties, ports, people }
    }

    /// The pods in some namespaces; where none are named, those in which rules for all pods show.
    pub(crate) fn subjects(&self, namespaces: &BTreeSet<String>) -> Vec<usize> {
        let few = ["kube-system", "steel-browser", "stranger"];
        let is_meant = |asked: &Asked| match &asked.party {
            Party::Pod { namespace, .. } if namespaces.is_empty() => few.contains(&namespace.as_str()),
            Party::Pod { namespace, .. } => namespaces.contains(namespace),
            _ => false,
        };
        (0..self.parties.len()).filter(|place| is_meant(&self.parties[*place])).collect()
    }

    /// What the engine is to be asked: about pairs, as far as the policies of some have a say; and about lookups.
    pub(crate) fn question(
        &self,
        policies: &[String],
        pairs: &[(usize, usize)],
        of: Option<&[usize]>,
        lookups: &[Lookup],
    ) -> String {
        let policies = policies.join(",");
        let rest = json!({"pairs": pairs, "of": of, "lookups": lookups}).to_string();
        format!("{{\"policies\":[{policies}],{},{}", self.people, rest.trim_start_matches('{'))
    }

    /// Where Cilium lets out or lets in another call than the matrix, or lets another question pass to the DNS; all of
    /// them, or those that are judged by the policies of some.
    ///
    /// Each end alone is as wide as its flow and no wider, so each direction is held against the matrix alone.
    pub(crate) fn differences(&self, engine: &mut Engine, policies: &[String], of: Option<&[usize]>) -> Vec<String> {
        let is_asked = |place: usize| of.is_none_or(|of| of.contains(&place));
        let pairs: Vec<(usize, usize)> =
            self.expected.keys().copied().filter(|(from, to)| is_asked(*from) || is_asked(*to)).collect();
        let lookups = self.lookups(is_asked);
        let answer = match engine.ask(&self.question(policies, &pairs, of, &lookups)) {
            Ok(answer) => answer,
            Err(refused) => return vec![refused],
        };
        assert_eq!((answer.verdicts.len(), answer.lookups.len()), (pairs.len(), lookups.len()));
        let mut found = Vec::new();
        for (pair, verdict) in pairs.iter().zip(answer.verdicts) {
            let expected = &self.expected[pair];
            for (passing, way) in [(verdict.egress, "out"), (verdict.ingress, "in")] {
                let Some(passing) = passing.filter(|passing| passing != expected) else { continue };
                let [from, to] = [pair.0, pair.1].map(|place| &self.parties[place].party);
                let [cilium, matrix] = [&passing, expected].map(|ports| self.named(ports));
                found.push(format!("{from} to {to}: Cilium lets {way} {cilium}, the matrix {matrix}"));
            }
        }
        for (lookup, passes) in lookups.iter().zip(answer.lookups) {
            let from = &self.parties[lookup.from].party;
            if passes != self.matrix.may_look_up(from, &lookup.name) {
                found.push(format!("{from} asks for {}: passes by Cilium: {passes}", lookup.name));
            }
        }
        found.truncate(ENOUGH);
        found
    }

    fn named(&self, ports: &[usize]) -> String {
        let names: Vec<String> = ports.iter().map(|place| self.ports[*place].to_string()).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
    }

    /// Pods ask for every name, by UDP and TCP.
    fn lookups(&self, is_asked: impl Fn(usize) -> bool) -> Vec<Lookup> {
        let resolver = self.place(&cast::pod(&cluster::resolver()));
        let name = |asked: &Asked| if let Party::Name(name) = &asked.party { Some(name.clone()) } else { None };
        let names: Vec<String> = self.parties.iter().filter_map(name).collect();
        let is_pod = |place: &usize| matches!(self.parties[*place].party, Party::Pod { .. });
        let is_dns = |port: &Port| port.number == 53 && port.protocol != Protocol::Sctp;
        let mut lookups = Vec::new();
        for from in (0..self.parties.len()).filter(is_pod).filter(|place| is_asked(*place)) {
            for port in (0..self.ports.len()).filter(|place| is_dns(&self.ports[*place])) {
                lookups.extend(names.iter().map(|name| Lookup { from, resolver, port, name: name.clone() }));
            }
        }
        lookups
    }

    fn place(&self, party: &Party) -> usize {
        self.parties.iter().position(|asked| asked.party == *party).unwrap()
    }

    /// Where the ends to which Cilium sends its health checks let in more or less than those checks, or let anything
    /// out.
    pub(crate) fn health(&self, engine: &mut Engine, policies: &[String]) -> Vec<String> {
        let health = self.parties.len();
        let [other, stranger, resolver] = [Party::Node(Node::Other), cast::stranger(), cast::pod(&cluster::resolver())]
            .map(|party| self.place(&party));
        let wires = json!([wire(4240, "TCP"), wire(8, "ICMP"), wire(53, "UDP"), wire(80, "TCP")]);
        let mut question: Value = serde_json::from_str(&self.question(
            policies,
            &[(other, health), (stranger, health), (health, other), (health, resolver)],
            Some(&[health]),
            &[],
        ))
        .unwrap();
        question["ports"] = wires;
        let answer = match engine.ask(&question.to_string()) {
            Ok(answer) => answer,
            Err(refused) => return vec![refused],
        };
        let expected = [vec![0, 1], vec![], vec![], vec![]];
        let passing = answer.verdicts.into_iter().map(|verdict| verdict.egress.or(verdict.ingress).unwrap());
        let differences = passing.zip(&expected).enumerate().filter(|(_, (passing, expected))| passing != *expected);
        differences.map(|(pair, (passing, _))| format!("health, pair {pair}: {passing:?}")).collect()
    }
}

fn wire(number: u16, protocol: &str) -> Value {
    json!({"number": number, "protocol": protocol})
}

/// What the matrix says of every pair of whom policies of pods judge one, and of whom the first can call.
fn expected(matrix: &Matrix, parties: &[Asked], ports: &[Port]) -> BTreeMap<(usize, usize), Vec<usize>> {
    let is_pod = |asked: &Asked| matches!(asked.party, Party::Pod { .. });
    let mut expected = BTreeMap::new();
    for (from, caller) in parties.iter().enumerate().filter(|(_, asked)| !matches!(asked.party, Party::Name(_))) {
        for (to, called) in parties.iter().enumerate().filter(|(_, called)| is_pod(caller) || is_pod(called)) {
            let flows: Vec<_> = matrix.between(&caller.party, &called.party).collect();
            let passes = |place: &usize| flows.iter().any(|flow| flow.ports.have(ports[*place]));
            expected.insert((from, to), (0..ports.len()).filter(passes).collect());
        }
    }
    expected
}

impl Asked {
    fn described(&self) -> Value {
        match &self.party {
            Party::Pod { namespace, labels } => json!({"pod": {"namespace": namespace, "labels": labels}}),
            Party::Node(Node::Own) => json!({"machine": "own"}),
            Party::Node(Node::Other) => json!({"machine": "other"}),
            Party::Node(Node::ControlPlane) => json!({"machine": "control-plane"}),
            Party::Address(address) => json!({"address": address}),
            Party::Internet => json!({"address": self.address}),
            Party::Name(name) => json!({"name": name, "address": self.address}),
            Party::Range(range) => panic!("{range} is no single address"),
        }
    }
}

//! Whether one may talk to another: decided on the flows alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Flow, Lookups, Matrix, Pods, Port, Ranges, Source, Target, cluster};

/// A machine, as a pod sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The one on which the pod itself runs, if the Kubernetes API does not run there.
    Own,
    /// Another one.
    Other,
    /// Another one, on which the Kubernetes API runs.
    ControlPlane,
}

impl Node {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Other, Self::ControlPlane];

    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own-node",
            Self::Other => "node",
            Self::ControlPlane => "apiserver",
        }
    }
}

/// One who talks or is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// A pod with its own network.
    Pod {
        /// Its namespace.
        namespace: String,
        /// Its labels.
        labels: BTreeMap<String, String>,
    },
    /// A machine and every pod on its host network.
    Node(Node),
    /// An address that is neither a pod's nor a machine's.
    Address(IpAddr),
    /// Every address of a range, none of which is a pod's or a machine's.
    Range(IpNet),
    /// Any address on the internet, of which no narrower range speaks.
    Internet,
    /// A name outside the cluster, whose address is on the internet; can only be talked to.
    Name(String),
}

impl Party {
    /// As people write [`Self::Internet`].
    pub const INTERNET: &str = "internet";
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes through, because of these flows.
    Allowed(Vec<&'a Flow>),
    /// No flow allows it.
    Denied,
    /// Neither end is a pod with its own network: policies of pods do not judge it, firewalls may.
    NotJudged,
}

impl Verdict<'_> {
    /// Whether a policy lets it through.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(flows) => {
                let reasons: Vec<&str> = flows.iter().map(|flow| flow.because.as_str()).collect();
                write!(f, "allowed: {}", reasons.join("; "))
            }
            Self::Denied => f.write_str(
                "denied: no flow allows it. If it is wanted, add it to spec.securityWeave.defaultDeny.allow",
            ),
            Self::NotJudged => f.write_str("not judged: neither end is a pod with its own network"),
        }
    }
}

impl Matrix {
    /// What becomes of a call from one to another on a port of the other.
    #[must_use]
    pub fn allows(&self, from: &Party, to: &Party, port: Port) -> Verdict<'_> {
        if ![from, to].iter().any(|party| matches!(party, Party::Pod { .. })) {
            return Verdict::NotJudged;
        }
        let flows: Vec<&Flow> = self.between(from, to).filter(|flow| flow.ports.have(port)).collect();
        if flows.is_empty() { Verdict::Denied } else { Verdict::Allowed(flows) }
    }

    /// The flows from one to another, whatever the port.
    pub fn between(&self, from: &Party, to: &Party) -> impl Iterator<Item = &Flow> {
        self.flows().filter(|flow| flow.from.covers(from) && flow.to.covers(to))
    }

    /// The flows that do not allow a call but come near to it: on other ports, or between other pods of the namespaces.
    pub fn near(&self, from: &Party, to: &Party, port: Port) -> impl Iterator<Item = &Flow> {
        let is_near = move |flow: &&Flow| {
            let from_near = flow.from.covers(from) || matches!(&flow.from, Source::Pods(pods) if pods.beside(from));
            let to_near = flow.to.covers(to) || matches!(&flow.to, Target::Pods(pods) if pods.beside(to));
            from_near && to_near
        };
        let allows = move |flow: &&Flow| flow.from.covers(from) && flow.to.covers(to) && flow.ports.have(port);
        self.flows().filter(is_near).filter(move |flow| !allows(flow))
    }

    /// Whether a pod may ask the cluster's DNS for a name.
    #[must_use]
    pub fn may_look_up(&self, from: &Party, name: &str) -> bool {
        self.flows().filter(|flow| flow.from.covers(from)).any(|flow| match &flow.to {
            Target::Resolver(Lookups::Any) => true,
            Target::Resolver(Lookups::Only(names)) => names.iter().any(|pattern| pattern.covers(name)),
            _ => false,
        })
    }
}

impl Pods {
    /// Whether a pod is in the same namespace.
    fn beside(&self, party: &Party) -> bool {
        matches!(party, Party::Pod { namespace, .. } if *namespace == self.namespace)
    }

    fn covers(&self, party: &Party) -> bool {
        let Party::Pod { namespace, labels } = party else { return false };
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        *namespace == self.namespace && self.labels.iter().all(has)
    }
}

impl Ranges {
    /// Whether all of a party's addresses are meant.
    fn hold(&self, party: &Party) -> bool {
        match party {
            Party::Address(address) => self.covers(*address),
            Party::Range(range) => self.covers_all(*range),
            Party::Internet | Party::Name(_) => self.is_internet(),
            Party::Pod { .. } | Party::Node(_) => false,
        }
    }
}

impl Source {
    fn covers(&self, party: &Party) -> bool {
        match (self, party) {
            (Self::Pods(pods), party) => pods.covers(party),
            (Self::EveryPod { but }, Party::Pod { namespace, .. }) => !but.contains(namespace),
            (Self::Nodes, Party::Node(_)) | (Self::OwnNode, Party::Node(Node::Own)) => true,
            (Self::Ranges(ranges), party) => ranges.hold(party),
            (Self::EveryPod { .. } | Self::Nodes | Self::OwnNode, _) => false,
        }
    }
}

impl Target {
    fn covers(&self, party: &Party) -> bool {
        match (self, party) {
            (Self::Pods(pods), party) => pods.covers(party),
            (Self::EveryPod, Party::Pod { .. })
            | (Self::Nodes, Party::Node(_))
            | (Self::ApiServer, Party::Node(Node::ControlPlane)) => true,
            (Self::Ranges(ranges), party) => ranges.hold(party),
            (Self::Names(names), Party::Name(name)) => names.iter().any(|pattern| pattern.covers(name)),
            (Self::Resolver(_), party) => cluster::resolver().covers(party),
            (Self::EveryPod | Self::Nodes | Self::ApiServer | Self::Names(_), _) => false,
        }
    }
}

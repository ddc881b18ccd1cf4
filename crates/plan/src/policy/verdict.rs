//! Whether one may talk to another: decided on the flows alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::{Flow, Lookups, Matrix, Pods, Port, Source, Target, cluster};

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
    /// A name outside the cluster; can only be talked to.
    Name(String),
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
        let covering = |flow: &&Flow| flow.ports.has(port) && flow.from.covers(from) && flow.to.covers(to);
        let flows: Vec<&Flow> = self.flows().filter(covering).collect();
        if flows.is_empty() { Verdict::Denied } else { Verdict::Allowed(flows) }
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
    fn covers(&self, party: &Party) -> bool {
        let Party::Pod { namespace, labels } = party else { return false };
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        *namespace == self.namespace && self.labels.iter().all(has)
    }
}

impl Source {
    fn covers(&self, party: &Party) -> bool {
        match (self, party) {
            (Self::Pods(pods), party) => pods.covers(party),
            (Self::EveryPod { but }, Party::Pod { namespace, .. }) => !but.contains(namespace),
            (Self::Nodes, Party::Node(_)) | (Self::OwnNode, Party::Node(Node::Own)) => true,
            (Self::Ranges(ranges), Party::Address(address)) => ranges.covers(*address),
            (Self::EveryPod { .. } | Self::Nodes | Self::OwnNode | Self::Ranges(_), _) => false,
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
            (Self::Ranges(ranges), Party::Address(address)) => ranges.covers(*address),
            (Self::Names(names), Party::Name(name)) => names.iter().any(|pattern| pattern.covers(name)),
            (Self::Resolver(_), party) => cluster::resolver().covers(party),
            (Self::EveryPod | Self::Nodes | Self::ApiServer | Self::Ranges(_) | Self::Names(_), _) => false,
        }
    }
}

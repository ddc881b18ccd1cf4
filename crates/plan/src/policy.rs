//! Who may talk to whom in a cluster that denies by default: flows, each with the reason why it is allowed.
//!
//! The list of flows is the one source. [`Matrix::allows`] decides on it, [`render`] makes Cilium's policies of it, and
//! neither looks at the other: Cilium's own engine can be asked about the policies and held against the matrix. What
//! a component needs is declared by its entry of the catalogue, what the user adds by `securityWeave.defaultDeny`, what
//! every cluster needs by [`cluster`]. Whether a flow is wise is not judged here.

pub mod cilium;
pub mod cluster;
mod names;
mod parse;
mod ranges;
mod remedy;
pub mod render;
mod verdict;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use names::NamePattern;
pub use parse::ParseError;
pub use ranges::{METADATA, Ranges, RangesError};
pub use remedy::{NoRemedy, remedy};
pub use verdict::{Node, Party, Verdict};

/// Pods of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pods {
    /// The namespace.
    pub namespace: String,
    /// Labels that they must have; empty for all pods of the namespace.
    pub labels: BTreeMap<String, String>,
}

impl Pods {
    /// All pods of a namespace.
    #[must_use]
    pub fn of(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), labels: BTreeMap::new() }
    }

    /// Those that also have this label.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Pods of one namespace.
    Pods(Pods),
    /// Every pod of the cluster but those of some namespaces.
    EveryPod {
        /// Namespaces that are left out.
        but: BTreeSet<String>,
    },
    /// Any machine: what runs there on the host network, and API servers that call webhooks. An API server's call
    /// reaches a pod through the tunnel as a machine's, so the two cannot be told apart.
    Nodes,
    /// The machine on which the called pod runs: its kubelet. Cilium lets it in whatever a policy says.
    OwnNode,
    /// Addresses outside the cluster.
    Ranges(Ranges),
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Pods of one namespace.
    Pods(Pods),
    /// Every pod of the cluster.
    EveryPod,
    /// Any machine.
    Nodes,
    /// The Kubernetes API, on whichever machine it runs.
    ApiServer,
    /// Addresses outside the cluster.
    Ranges(Ranges),
    /// Names outside the cluster; the addresses are those that the cluster's DNS gave to any pod of the same machine.
    Names(BTreeSet<NamePattern>),
    /// The cluster's DNS.
    Resolver(Lookups),
}

/// Which names may be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookups {
    /// Any.
    Any,
    /// These only, so that no data leaves by way of a question.
    Only(BTreeSet<NamePattern>),
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As Kubernetes and Cilium write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// A port of the called one, as its process listens on it, not as a Service maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol.as_str())
    }
}

/// Ports of the called one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ports {
    /// Every port of every protocol.
    Any,
    /// These.
    Only(BTreeSet<Port>),
}

impl Ports {
    /// TCP ports.
    #[must_use]
    pub fn tcp<const N: usize>(numbers: [u16; N]) -> Self {
        Self::Only(numbers.map(|number| Port { number, protocol: Protocol::Tcp }).into())
    }

    /// UDP ports.
    #[must_use]
    pub fn udp<const N: usize>(numbers: [u16; N]) -> Self {
        Self::Only(numbers.map(|number| Port { number, protocol: Protocol::Udp }).into())
    }

    /// A port of both TCP and UDP.
    #[must_use]
    pub fn both(number: u16) -> Self {
        Self::Only([Protocol::Tcp, Protocol::Udp].map(|protocol| Port { number, protocol }).into())
    }

    /// Whether the port is one of them.
    #[must_use]
    pub fn have(&self, port: Port) -> bool {
        match self {
            Self::Any => true,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

/// One allowed direction. Answers are always let through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Who calls.
    pub from: Source,
    /// Who is called.
    pub to: Target,
    /// On which ports.
    pub ports: Ports,
    /// Why, as a sentence without its full stop.
    pub because: String,
}

impl Flow {
    /// A flow with its reason.
    pub fn new(from: impl Into<Source>, to: impl Into<Target>, ports: Ports, because: impl Into<String>) -> Self {
        Self { from: from.into(), to: to.into(), ports, because: because.into() }
    }
}

impl From<Pods> for Source {
    fn from(pods: Pods) -> Self {
        Self::Pods(pods)
    }
}

impl From<Pods> for Target {
    fn from(pods: Pods) -> Self {
        Self::Pods(pods)
    }
}

impl From<Ranges> for Source {
    fn from(ranges: Ranges) -> Self {
        Self::Ranges(ranges)
    }
}

impl From<Ranges> for Target {
    fn from(ranges: Ranges) -> Self {
        Self::Ranges(ranges)
    }
}

impl From<NamePattern> for Target {
    fn from(name: NamePattern) -> Self {
        Self::Names([name].into())
    }
}

/// All flows of a platform, in one order whatever order they were declared in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix(BTreeSet<Flow>);

impl Matrix {
    /// All flows, each once.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.0.iter()
    }
}

impl FromIterator<Flow> for Matrix {
    fn from_iter<I: IntoIterator<Item = Flow>>(flows: I) -> Self {
        Self(flows.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;

//! The registry of concerns: what a platform consists of, in the order in which it comes to be.
//!
//! A concern is one file with one function: from the [`Context`] to an [`Outcome`]. To add one, write its file, add a
//! variant to [`Concern`] and follow the compiler.

pub mod adoption;
pub mod backups;
pub mod client_configs;
pub mod etcd;
pub mod firewall;
mod health;
pub mod image;
mod kubernetes;
pub mod load_balancer;
pub mod load_balancer_targets;
pub mod machine_configs;
pub mod network;
pub mod nodes;
mod outcome;
pub mod placement_groups;
mod restore;
mod rollout;
mod roster;
pub mod rotation;
pub mod secret_bundle;
pub mod servers;
pub mod ssh_key;
pub mod teardown;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use helix_crds::PhaseName;
use jiff::Timestamp;
use serde::Serialize;

use kubernetes::Stage;
pub use outcome::Outcome;
pub use roster::{Leaving, Roster};

use crate::disruption::Mark;
use crate::endpoints::api_endpoints;
use crate::farewell::Farewell;
use crate::names::MachineName;
use crate::observed::{CloudFacts, NodeFacts, Observed, Readiness, Server, StoreFacts};
use crate::report::{Block, Wait};
use crate::validated::ValidatedPlatform;

/// Something that a platform needs, decided in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Concern {
    /// What is there already and becomes the platform's.
    Adoption,
    /// The secrets that everything is made with.
    SecretBundle,
    /// The private network and its subnet.
    Network,
    /// The firewall of all servers.
    Firewall,
    /// The SSH key that nobody can use.
    SshKey,
    /// Groups that keep machines on different hosts.
    PlacementGroups,
    /// The load balancer of the API.
    LoadBalancer,
    /// The snapshots to boot from.
    Image,
    /// The servers.
    Servers,
    /// What the machines are told to be.
    MachineConfigs,
    /// The members of etcd.
    Etcd,
    /// Snapshots of etcd.
    Backups,
    /// Where the load balancer forwards to.
    LoadBalancerTargets,
    /// The nodes of the workload cluster.
    Nodes,
    /// Changes of machines that exist.
    Rollout,
    /// The certificate authorities, and their rotation.
    Authorities,
    /// The administrator's kubeconfig and talosconfig.
    ClientConfigs,
    /// A phase that is not built yet.
    NotBuilt(PhaseName),
    /// The end of a platform.
    Teardown,
}

impl Concern {
    /// Every concern of a living platform, in the order of phases.
    pub const ALL: [Self; 21] = [
        Self::Adoption,
        Self::SecretBundle,
        Self::Network,
        Self::Firewall,
        Self::SshKey,
        Self::PlacementGroups,
        Self::LoadBalancer,
        Self::Image,
        Self::Servers,
        Self::MachineConfigs,
        Self::Etcd,
        Self::Backups,
        Self::LoadBalancerTargets,
        Self::Nodes,
        Self::Rollout,
        Self::Authorities,
        Self::ClientConfigs,
        Self::NotBuilt(PhaseName::SecurityWeave),
        Self::NotBuilt(PhaseName::GitOpsControlPlane),
        Self::NotBuilt(PhaseName::StateAndDataHa),
        Self::NotBuilt(PhaseName::AiAgentic),
    ];

    /// The concerns of a platform that goes as far as `until`.
    pub fn of(until: PhaseName) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |concern| concern.phase() <= until)
    }

    /// The phase that the concern is part of.
    #[must_use]
    pub fn phase(self) -> PhaseName {
        match self {
            Self::Adoption
            | Self::SecretBundle
            | Self::Network
            | Self::Firewall
            | Self::SshKey
            | Self::PlacementGroups
            | Self::LoadBalancer
            | Self::Image
            | Self::Teardown => PhaseName::HardenedCore,
            Self::Servers
            | Self::MachineConfigs
            | Self::Etcd
            | Self::Backups
            | Self::LoadBalancerTargets
            | Self::Nodes
            | Self::Rollout
            | Self::Authorities
            | Self::ClientConfigs => PhaseName::ImmutableSubstrate,
            Self::NotBuilt(phase) => phase,
        }
    }

    /// Whether the concern is told for itself: what it waits for holds up no phase.
    #[must_use]
    pub fn is_aside(self) -> bool {
        self == Self::Backups
    }

    /// Decides what the concern needs now.
    #[must_use]
    pub fn plan(self, context: &Context<'_>) -> Outcome {
        match self {
            Self::Adoption => adoption::plan(context),
            Self::SecretBundle => secret_bundle::plan(context),
            Self::Network => network::plan(context),
            Self::Firewall => firewall::plan(context),
            Self::SshKey => ssh_key::plan(context),
            Self::PlacementGroups => placement_groups::plan(context),
            Self::LoadBalancer => load_balancer::plan(context),
            Self::Image => image::plan(context),
            Self::Servers => servers::plan(context),
            Self::MachineConfigs => machine_configs::plan(context),
            Self::Etcd => etcd::plan(context),
            Self::Backups => backups::plan(context),
            Self::LoadBalancerTargets => load_balancer_targets::plan(context),
            Self::Nodes => nodes::plan(context),
            Self::Rollout => rollout::plan(context),
            Self::Authorities => rotation::plan(context),
            Self::ClientConfigs => client_configs::plan(context),
            Self::NotBuilt(phase) => Outcome::blocked(Block::PhaseNotImplemented(phase)),
            Self::Teardown => {
                let farewell = Farewell::plain(context.now);
                teardown::plan(&farewell, context.observed, context.cloud, context.store, context.now)
            }
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adoption => f.write_str("adoption"),
            Self::SecretBundle => f.write_str("secret bundle"),
            Self::Network => f.write_str("network"),
            Self::Firewall => f.write_str("firewall"),
            Self::SshKey => f.write_str("SSH key"),
            Self::PlacementGroups => f.write_str("placement groups"),
            Self::LoadBalancer => f.write_str("load balancer"),
            Self::Image => f.write_str("images"),
            Self::Servers => f.write_str("servers"),
            Self::MachineConfigs => f.write_str("machine configurations"),
            Self::Etcd => f.write_str("etcd members"),
            Self::Backups => f.write_str("backups"),
            Self::LoadBalancerTargets => f.write_str("load balancer targets"),
            Self::Nodes => f.write_str("nodes"),
            Self::Rollout => f.write_str("changes of machines"),
            Self::Authorities => f.write_str("certificate authorities"),
            Self::ClientConfigs => f.write_str("client configurations"),
            Self::NotBuilt(phase) => write!(f, "{phase}"),
            Self::Teardown => f.write_str("teardown"),
        }
    }
}

/// What every concern may look at.
pub struct Context<'a> {
    /// What is wanted.
    pub platform: &'a ValidatedPlatform,
    /// Everything that is known.
    pub observed: &'a Observed,
    /// What is at Hetzner.
    pub cloud: &'a CloudFacts,
    /// What is in the store.
    pub store: &'a StoreFacts,
    /// The time.
    pub now: Timestamp,
    /// Which Kubernetes the machines are to run now.
    pub(crate) kubernetes: Stage,
    /// Who stays and who leaves.
    pub roster: Roster,
    /// Whether pods can reach one another: some node is Ready.
    has_pod_network: bool,
    wanted: OnceCell<BTreeMap<MachineName, machine_configs::Wanted>>,
    servers: BTreeMap<MachineName, &'a Server>,
    nodes: BTreeMap<&'a str, &'a NodeFacts>,
}

impl<'a> Context<'a> {
    /// Sets out the facts so that machines and nodes are found by name.
    #[must_use]
    pub fn new(
        platform: &'a ValidatedPlatform,
        observed: &'a Observed,
        cloud: &'a CloudFacts,
        store: &'a StoreFacts,
        now: Timestamp,
    ) -> Self {
        let servers = cloud.servers.iter().filter_map(|server| Some((MachineName::parse(&server.name).ok()?, server)));
        let nodes = observed.kubernetes.value().map(|kubernetes| kubernetes.nodes.as_slice()).unwrap_or_default();
        let mut context = Self {
            platform,
            observed,
            cloud,
            store,
            now,
            kubernetes: Stage::all(&platform.versions.kubernetes),
            roster: Roster::default(),
            has_pod_network: nodes.iter().any(|node| node.readiness == Readiness::Ready),
            wanted: OnceCell::new(),
            servers: servers.collect(),
            nodes: nodes.iter().map(|node| (node.name.as_str(), node)).collect(),
        };
        context.kubernetes = Stage::of(&context);
        context.roster = Roster::of(&context);
        context
    }

    /// The server that is this machine, if there is one.
    #[must_use]
    pub fn server_of(&self, machine: &MachineName) -> Option<&'a Server> {
        self.servers.get(machine).copied()
    }

    /// The machines that have a server, by name.
    pub fn machines(&self) -> impl Iterator<Item = (&MachineName, &'a Server)> {
        self.servers.iter().map(|(machine, server)| (machine, *server))
    }

    /// That the machine is being disturbed, if it is.
    #[must_use]
    pub fn mark_of(&self, machine: &MachineName) -> Option<Mark> {
        self.node_of(machine)?.mark
    }

    /// Whether the machine is to be left alone.
    #[must_use]
    pub fn is_held(&self, machine: &MachineName) -> bool {
        self.observed.intents.hold.contains(machine)
    }

    /// That these machines are held, and not as they should be.
    fn held(&self, machines: Vec<MachineName>) -> Wait {
        let Stage { wanted, refusal } = &self.kubernetes;
        let kubernetes_waits = refusal.is_none() && wanted.api_server != self.platform.versions.kubernetes;
        Wait::Held { machines, kubernetes_waits }
    }

    /// That the cluster's API has to answer.
    fn api(&self) -> Wait {
        let endpoint = api_endpoints(self.platform, self.cloud).for_clients().into_iter().next();
        Wait::Api { endpoint: endpoint.unwrap_or_default() }
    }

    /// The node that the machine has registered, if it has.
    #[must_use]
    pub fn node_of(&self, machine: &MachineName) -> Option<&'a NodeFacts> {
        self.nodes.get(machine.to_string().as_str()).copied()
    }
}

//! The registry of concerns: what a platform consists of, in the order in which it comes to be.
//!
//! A concern is one file with one function: from the [`Context`] to an [`Outcome`]. To add one, write its file, add a
//! variant to [`Concern`] and follow the compiler.

pub mod admin_ports;
pub mod adoption;
pub mod backups;
pub mod client_configs;
mod components;
mod database_backups;
pub mod etcd;
pub mod extensions;
pub mod firewall;
mod gitops_tree;
mod health;
pub mod image;
mod kubernetes;
pub mod load_balancer;
pub mod load_balancer_targets;
pub mod machine_configs;
mod machines;
mod mesh;
pub mod names;
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
use machines::Machines;
pub use outcome::Outcome;
pub(crate) use outcome::Setbacks;
pub use roster::{Leaving, Roster};

use crate::components::Component;
use crate::disruption::Mark;
use crate::endpoints::api_endpoints;
use crate::farewell::Farewell;
use crate::names::MachineName;
use crate::observed::{
    CloudFacts, NodeFacts, ObjectId, Observed, PlacementGroup, Readiness, Server, StoreFacts, TalosFacts,
};
use crate::render::machine_config::AlikeDigests;
use crate::report::Wait;
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
    /// The name of the Kubernetes API.
    ApiName,
    /// Whom workloads may talk to, as far as it holds in the whole cluster.
    NetworkPolicies,
    /// A component of the cluster, in the phase in which it is installed.
    Component(Component, PhaseName),
    /// Components that nothing asks for any more.
    FormerComponents,
    /// Backups of the users' databases.
    DatabaseBackups,
    /// The names of what is published.
    Names,
    /// The mesh by which people come in.
    Mesh,
    /// The public admin ports.
    AdminPorts,
    /// What Argo CD syncs, and where it finds it.
    GitOpsTree,
    /// The system extensions of the machines' images.
    Extensions,
    /// The end of a platform.
    Teardown,
}

impl Concern {
    /// Every concern of a living platform up to its nodes, in the order of phases.
    const MACHINES: [Self; 18] = [
        Self::Adoption,
        Self::SecretBundle,
        Self::Network,
        Self::Firewall,
        Self::SshKey,
        Self::PlacementGroups,
        Self::LoadBalancer,
        Self::Image,
        Self::Servers,
        Self::ApiName,
        Self::MachineConfigs,
        Self::Etcd,
        Self::Backups,
        Self::LoadBalancerTargets,
        Self::Nodes,
        Self::Rollout,
        Self::Authorities,
        Self::ClientConfigs,
    ];

    /// The concerns of a platform up to its last phase, each after what it waits for.
    #[must_use]
    pub fn of(platform: &ValidatedPlatform) -> Vec<Self> {
        let mut concerns = Self::MACHINES.to_vec();
        concerns.push(Self::Extensions);
        for wanted in platform.components.iter() {
            concerns.push(Self::Component(wanted.component, wanted.phase));
            match wanted.component {
                Component::Cilium => concerns.extend([Self::NetworkPolicies, Self::FormerComponents]),
                Component::ArgoCd => concerns.push(Self::GitOpsTree),
                Component::Databases => concerns.push(Self::DatabaseBackups),
                _ => {}
            }
        }
        concerns.extend([Self::Names, Self::Mesh, Self::AdminPorts]);
        concerns.sort_by_key(|concern| concern.phase());
        concerns.retain(|concern| concern.phase() <= platform.until);
        concerns
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
            | Self::ApiName
            | Self::MachineConfigs
            | Self::Etcd
            | Self::Backups
            | Self::LoadBalancerTargets
            | Self::Nodes
            | Self::Rollout
            | Self::Authorities
            | Self::ClientConfigs => PhaseName::ImmutableSubstrate,
            Self::NetworkPolicies | Self::FormerComponents | Self::Names | Self::Mesh | Self::AdminPorts => {
                PhaseName::SecurityWeave
            }
            Self::GitOpsTree => PhaseName::GitOpsControlPlane,
            Self::Extensions | Self::DatabaseBackups => PhaseName::StateAndDataHa,
            Self::Component(_, phase) => phase,
        }
    }

    /// Whether the concern is told for itself: what it waits for holds up no phase.
    #[must_use]
    pub fn is_aside(self) -> bool {
        matches!(self, Self::Backups | Self::DatabaseBackups)
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
            Self::ApiName => names::api(context),
            Self::Names => names::ingress(context),
            Self::Mesh => mesh::plan(context),
            Self::AdminPorts => admin_ports::plan(context),
            Self::Extensions => extensions::plan(context),
            Self::NetworkPolicies => components::policies(context),
            Self::Component(component, _) => components::plan(context, component),
            Self::FormerComponents => components::former(context),
            Self::DatabaseBackups => database_backups::plan(context),
            Self::GitOpsTree => gitops_tree::plan(context),
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
            Self::ApiName => f.write_str("name of the API"),
            Self::Names => f.write_str("names of what is published"),
            Self::Mesh => f.write_str("mesh"),
            Self::AdminPorts => f.write_str("admin ports"),
            Self::Extensions => f.write_str("system extensions"),
            Self::NetworkPolicies => f.write_str("network policies"),
            Self::Component(component, _) => write!(f, "component {component}"),
            Self::FormerComponents => f.write_str("removal of components that nothing asks for"),
            Self::DatabaseBackups => f.write_str("backups of databases"),
            Self::GitOpsTree => f.write_str("GitOps tree"),
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
    /// The Talos that the machines are to run, as in `v1.13.9`.
    talos: String,
    /// Which Kubernetes the machines are to run now.
    pub(crate) kubernetes: Stage,
    /// Who stays and who leaves.
    pub roster: Roster,
    /// Whether pods can reach one another: some node is Ready.
    has_pod_network: bool,
    /// Whose each rendered object is.
    claims: OnceCell<BTreeMap<ObjectId, Component>>,
    known: Machines<'a>,
    groups: BTreeMap<&'a str, &'a PlacementGroup>,
    /// The digests of each pool's configurations, found when they are first asked for.
    alike: OnceCell<BTreeMap<String, AlikeDigests>>,
    /// The machines that each pool is to have, in the order of the pools: control planes first.
    wanted: Vec<Vec<MachineName>>,
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
        let nodes = observed.kubernetes.value().map(|kubernetes| kubernetes.nodes.as_slice()).unwrap_or_default();
        let mut context = Self {
            platform,
            observed,
            cloud,
            store,
            now,
            talos: format!("v{}", platform.versions.talos),
            kubernetes: Stage::all(&platform.versions.kubernetes),
            roster: Roster::default(),
            has_pod_network: nodes.iter().any(|node| node.readiness == Readiness::Ready),
            claims: OnceCell::new(),
            known: Machines::of(&cloud.servers, nodes, observed),
            groups: cloud.placement_groups.iter().map(|group| (group.name.as_str(), group)).collect(),
            alike: OnceCell::new(),
            wanted: Vec::new(),
        };
        context.kubernetes = Stage::of(&context);
        context.roster = Roster::of(&context);
        context.wanted = platform.pools().map(|pool| servers::wanted_machines(&context, pool)).collect();
        context
    }

    /// The server that is this machine, if there is one.
    #[must_use]
    pub fn server_of(&self, machine: &MachineName) -> Option<&'a Server> {
        self.known.get(machine).map(|known| known.server)
    }

    /// The machines that have a server, by name.
    pub fn machines(&self) -> impl Iterator<Item = (&MachineName, &'a Server)> {
        self.known.iter().map(|known| (&known.name, known.server))
    }

    /// What Talos on the machine said, if it answered.
    #[must_use]
    pub fn talos_of(&self, machine: &MachineName) -> Option<&'a TalosFacts> {
        match self.known.get(machine) {
            Some(known) => known.talos,
            None => self.observed.talos_of(machine),
        }
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
        self.known.node(machine)
    }

    /// Whether this very server has registered as the machine's node: then it had its configuration.
    fn is_registered(&self, machine: &MachineName) -> bool {
        self.known.get(machine).is_some_and(|known| known.is_registered)
    }
}

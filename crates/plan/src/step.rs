//! The closed set of things that Helix does to the world. A step is idempotent, names its target, and carries all that
//! is needed to carry it out: whoever applies it decides nothing.

use std::fmt;
use std::net::Ipv4Addr;

use helix_crds::Disruption;
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::names::MachineName;
use crate::observed::{FirewallRule, LoadBalancerService, NodeTaint, Tags};
use crate::render::machine_config::{ConfigDigest, MachineConfigInputs};

/// Kinds of resources at Hetzner that Helix makes and deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ResourceKind {
    /// A virtual machine.
    Server,
    /// A load balancer.
    LoadBalancer,
    /// A placement group.
    PlacementGroup,
    /// A firewall.
    Firewall,
    /// An SSH key.
    SshKey,
    /// A private network.
    Network,
}

impl ResourceKind {
    /// Every kind, in the order in which a teardown may delete them: what is used goes after its users.
    pub const TEARDOWN_ORDER: [Self; 6] =
        [Self::Server, Self::LoadBalancer, Self::PlacementGroup, Self::Firewall, Self::SshKey, Self::Network];

    /// The kind in words, as in `load balancer`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::LoadBalancer => "load balancer",
            Self::PlacementGroup => "placement group",
            Self::Firewall => "firewall",
            Self::SshKey => "SSH key",
            Self::Network => "network",
        }
    }
}

/// Which part of the token's budget pays for a step; an earlier lane goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Lane {
    /// Deleting what is no longer wanted: it stops costs.
    Teardown,
    /// The control plane and what it stands on.
    ControlPlane,
    /// Worker machines.
    Workers,
    /// Looking whether all is still as it should be.
    Drift,
}

/// A private network to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewNetwork {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// The whole range.
    pub cidr: Ipv4Net,
    /// The range of the one cloud subnet.
    pub subnet: Ipv4Net,
    /// Hetzner's network zone, as in `eu-central`.
    pub zone: String,
}

/// A firewall to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewFirewall {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Inbound rules; all else is dropped.
    pub rules: Vec<FirewallRule>,
}

/// A load balancer to be made, complete with its network and its service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewLoadBalancer {
    /// Unique name.
    pub name: String,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the type.
    pub kind: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// The network's id.
    pub network: u64,
    /// Whether its public interface is on.
    pub public: bool,
    /// Its one service.
    pub service: LoadBalancerService,
}

/// A server to be made, complete with everything that must hold from its first packet on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewServer {
    /// The machine that it will be.
    pub machine: MachineName,
    /// Labels.
    pub labels: Tags,
    /// Hetzner's name of the type.
    pub server_type: String,
    /// Hetzner's name of the location.
    pub location: String,
    /// The snapshot's id.
    pub image: u64,
    /// The network's id.
    pub network: u64,
    /// The firewall's id.
    pub firewall: u64,
    /// The SSH key's id: without one Hetzner makes a root password and mails it.
    pub ssh_key: u64,
    /// The placement group's id, if the pool spreads over hosts.
    pub placement_group: Option<u64>,
}

/// What is to be different on a node of the workload cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodePatch {
    /// Labels to set.
    pub labels: Tags,
    /// Labels to take away.
    pub remove_labels: Vec<String>,
    /// The node's taints from now on, complete; `None` leaves them.
    pub taints: Option<Vec<NodeTaint>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Step {
    /// Make the secret bundle and store it, unless one is stored.
    CreateSecretBundle,
    /// Make the private network with its subnet.
    CreateNetwork(NewNetwork),
    /// Add the subnet to a network that lacks it.
    AddSubnet {
        /// The network's id.
        network: u64,
        /// The subnet's range.
        subnet: Ipv4Net,
        /// Hetzner's network zone.
        zone: String,
    },
    /// Make the firewall with its rules.
    CreateFirewall(NewFirewall),
    /// Make a firewall's inbound rules these.
    SetFirewallRules {
        /// The firewall's id.
        firewall: u64,
        /// Its name, for people.
        name: String,
        /// All inbound rules.
        rules: Vec<FirewallRule>,
    },
    /// Upload a public SSH key whose private half is thrown away.
    CreateSshKey {
        /// Unique name.
        name: String,
        /// Labels.
        labels: Tags,
    },
    /// Make a spread placement group.
    CreatePlacementGroup {
        /// Unique name.
        name: String,
        /// Labels.
        labels: Tags,
    },
    /// Make the API load balancer.
    CreateLoadBalancer(NewLoadBalancer),
    /// Make a load balancer's service this one.
    SetLoadBalancerService {
        /// The load balancer's id.
        load_balancer: u64,
        /// Its name, for people.
        name: String,
        /// The service as it should be.
        service: LoadBalancerService,
        /// Whether the listen port has no service yet.
        missing: bool,
    },
    /// Turn a load balancer's public interface on or off.
    SetLoadBalancerPublic {
        /// The load balancer's id.
        load_balancer: u64,
        /// Its name, for people.
        name: String,
        /// On or off.
        public: bool,
    },
    /// Attach a load balancer to the platform's network.
    AttachLoadBalancer {
        /// The load balancer's id.
        load_balancer: u64,
        /// Its name, for people.
        name: String,
        /// The network's id.
        network: u64,
    },
    /// Let a load balancer forward to a server, over the private network.
    AddLoadBalancerTarget {
        /// The load balancer's id.
        load_balancer: u64,
        /// The server's id.
        server: u64,
        /// Its machine.
        machine: MachineName,
    },
    /// Stop a load balancer from forwarding to a server.
    RemoveLoadBalancerTarget {
        /// The load balancer's id.
        load_balancer: u64,
        /// The server's id.
        server: u64,
        /// Its machine, where the server is still known.
        machine: Option<MachineName>,
    },
    /// Make a server.
    CreateServer(NewServer),
    /// Attach a server to the platform's network.
    AttachServer {
        /// The server's id.
        server: u64,
        /// Its machine.
        machine: MachineName,
        /// The network's id.
        network: u64,
    },
    /// Guard a server by the platform's firewall again.
    ApplyFirewall {
        /// The firewall's id.
        firewall: u64,
        /// The server's id.
        server: u64,
        /// Its machine.
        machine: MachineName,
    },
    /// Power a server on.
    PowerOnServer {
        /// The server's id.
        server: u64,
        /// Its machine.
        machine: MachineName,
    },
    /// Give a machine in maintenance mode its configuration.
    ConfigureMachine {
        /// Its address, dialled without credentials.
        address: Ipv4Addr,
        /// What the configuration follows from; not serialized, because a user's patches may hold secrets.
        #[serde(skip)]
        inputs: Box<MachineConfigInputs>,
        /// The identity of the configuration.
        digest: ConfigDigest,
    },
    /// Write down which server etcd is about to be bootstrapped on. Created once, never updated.
    RecordBootstrap {
        /// The machine.
        machine: MachineName,
        /// Its server's id.
        server: u64,
    },
    /// Bootstrap etcd on the recorded server.
    BootstrapEtcd {
        /// The machine.
        machine: MachineName,
        /// Its server's id.
        server: u64,
    },
    /// Remove a member of etcd whose machine is gone.
    RemoveEtcdMember {
        /// Etcd's id of it.
        member: u64,
        /// The host name under which it joined.
        hostname: String,
    },
    /// Issue and store the administrator's kubeconfig.
    StoreKubeconfig {
        /// The API endpoints, as URLs, in order of preference; the first is the one in the file.
        endpoints: Vec<String>,
    },
    /// Issue and store the administrator's talosconfig.
    StoreTalosconfig {
        /// Addresses of the control planes.
        endpoints: Vec<String>,
    },
    /// Change a node of the workload cluster.
    PatchNode {
        /// The node.
        machine: MachineName,
        /// What is to be different.
        patch: NodePatch,
    },
    /// Take a node object away whose machine is gone.
    DeleteNode {
        /// The node.
        machine: MachineName,
    },
    /// Delete a resource at Hetzner.
    DeleteResource {
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: u64,
        /// Its name, for people.
        name: String,
    },
    /// Forget bundle, bootstrap record and client configurations: the last step of a teardown.
    ForgetSecrets,
}

/// What a step is about: its kind and the object's name. Two steps with one target never run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Target {
    /// Kind, in words.
    pub kind: &'static str,
    /// Name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

fn target(kind: &'static str, name: impl Into<String>) -> Target {
    Target { kind, name: name.into() }
}

impl Step {
    /// What the step is about.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::CreateSecretBundle | Self::ForgetSecrets => target("secrets", "bundle"),
            Self::CreateNetwork(new) => target("network", &new.name),
            Self::AddSubnet { subnet, .. } => target("subnet", subnet.to_string()),
            Self::CreateFirewall(new) => target("firewall", &new.name),
            Self::SetFirewallRules { name, .. } => target("firewall", name),
            Self::CreateSshKey { name, .. } => target("SSH key", name),
            Self::CreatePlacementGroup { name, .. } => target("placement group", name),
            Self::CreateLoadBalancer(new) => target("load balancer", &new.name),
            Self::SetLoadBalancerService { name, .. }
            | Self::SetLoadBalancerPublic { name, .. }
            | Self::AttachLoadBalancer { name, .. } => target("load balancer", name),
            Self::AddLoadBalancerTarget { machine, .. } => target("load balancer target", machine.to_string()),
            Self::RemoveLoadBalancerTarget { server, machine, .. } => target(
                "load balancer target",
                machine.as_ref().map_or_else(|| format!("#{server}"), ToString::to_string),
            ),
            Self::CreateServer(new) => target("server", new.machine.to_string()),
            Self::AttachServer { machine, .. }
            | Self::ApplyFirewall { machine, .. }
            | Self::PowerOnServer { machine, .. } => target("server", machine.to_string()),
            Self::ConfigureMachine { inputs, .. } => target("machine", inputs.machine.to_string()),
            Self::RecordBootstrap { machine, .. } => target("bootstrap record", machine.to_string()),
            Self::BootstrapEtcd { machine, .. } => target("etcd", machine.to_string()),
            Self::RemoveEtcdMember { hostname, .. } => target("etcd member", hostname),
            Self::StoreKubeconfig { .. } => target("secrets", "kubeconfig"),
            Self::StoreTalosconfig { .. } => target("secrets", "talosconfig"),
            Self::PatchNode { machine, .. } | Self::DeleteNode { machine } => target("node", machine.to_string()),
            Self::DeleteResource { kind, name, .. } => target(kind.words(), name),
        }
    }

    /// What the step does, as a verb in the imperative.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::CreateSecretBundle
            | Self::CreateNetwork(_)
            | Self::CreateFirewall(_)
            | Self::CreateSshKey { .. }
            | Self::CreatePlacementGroup { .. }
            | Self::CreateLoadBalancer(_)
            | Self::CreateServer(_)
            | Self::StoreKubeconfig { .. }
            | Self::StoreTalosconfig { .. } => "create",
            Self::AddSubnet { .. } | Self::AddLoadBalancerTarget { .. } => "add",
            Self::SetFirewallRules { .. }
            | Self::SetLoadBalancerService { .. }
            | Self::SetLoadBalancerPublic { .. }
            | Self::PatchNode { .. } => "change",
            Self::AttachLoadBalancer { .. } | Self::AttachServer { .. } => "attach",
            Self::ApplyFirewall { .. } => "guard",
            Self::PowerOnServer { .. } => "power on",
            Self::ConfigureMachine { .. } => "configure",
            Self::RecordBootstrap { .. } => "record",
            Self::BootstrapEtcd { .. } => "bootstrap",
            Self::RemoveLoadBalancerTarget { .. } | Self::RemoveEtcdMember { .. } => "remove",
            Self::DeleteNode { .. } | Self::DeleteResource { .. } | Self::ForgetSecrets => "delete",
        }
    }

    /// Calls of Hetzner's API that the step costs.
    #[must_use]
    pub fn hetzner_calls(&self) -> u32 {
        match self {
            Self::CreateSecretBundle
            | Self::ConfigureMachine { .. }
            | Self::RecordBootstrap { .. }
            | Self::BootstrapEtcd { .. }
            | Self::RemoveEtcdMember { .. }
            | Self::StoreKubeconfig { .. }
            | Self::StoreTalosconfig { .. }
            | Self::PatchNode { .. }
            | Self::DeleteNode { .. }
            | Self::ForgetSecrets => 0,
            Self::CreateNetwork(_)
            | Self::AddSubnet { .. }
            | Self::CreateFirewall(_)
            | Self::SetFirewallRules { .. }
            | Self::CreateSshKey { .. }
            | Self::CreatePlacementGroup { .. }
            | Self::CreateLoadBalancer(_)
            | Self::SetLoadBalancerService { .. }
            | Self::SetLoadBalancerPublic { .. }
            | Self::AttachLoadBalancer { .. }
            | Self::AddLoadBalancerTarget { .. }
            | Self::RemoveLoadBalancerTarget { .. }
            | Self::CreateServer(_)
            | Self::AttachServer { .. }
            | Self::ApplyFirewall { .. }
            | Self::PowerOnServer { .. }
            | Self::DeleteResource { .. } => 1,
        }
    }

    /// How much the step disturbs what runs.
    #[must_use]
    pub fn disruption(&self) -> Disruption {
        match self {
            Self::DeleteResource { .. } | Self::ForgetSecrets => Disruption::Destroy,
            _ => Disruption::None,
        }
    }

    /// Which lane of the token's budget pays for the step.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::DeleteResource { .. } | Self::ForgetSecrets => Lane::Teardown,
            Self::CreateServer(new) if !new.machine.is_control_plane() => Lane::Workers,
            Self::AttachServer { machine, .. }
            | Self::ApplyFirewall { machine, .. }
            | Self::PowerOnServer { machine, .. }
                if !machine.is_control_plane() =>
            {
                Lane::Workers
            }
            _ => Lane::ControlPlane,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.target())
    }
}

//! The closed set of things that Helix does to the world. A step is idempotent, names its target, and carries all that
//! is needed to carry it out: whoever applies it decides nothing.

mod kind;
mod mesh;
mod nature;
mod new;
mod node_patch;
mod records;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

pub use kind::ResourceKind;
pub use mesh::MeshChange;
pub use nature::{COMPONENT, Lane, MESH, RECORD, REPOSITORY, SNAPSHOT, Target};
pub use new::{NewFirewall, NewLoadBalancer, NewNetwork, NewServer};
pub use node_patch::NodePatch;
pub use records::RecordChange;

use crate::components::Component;
use crate::disruption::Mark;
use crate::names::MachineName;
use crate::observed::{
    ClaimFacts, FirewallRule, LoadBalancerService, ObjectId, PodFacts, RestoreRecord, ServiceFacts, Tags,
};
use crate::render::machine_config::{ConfigDigest, MachineConfigInputs};
use crate::secrets::RotationStage;

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
    /// Write down how far a restore is: each record takes the place of the one that it was made from, and of no other.
    RecordRestore(RestoreRecord),
    /// Bring etcd up from a snapshot on the server that the restore record names.
    RecoverEtcd {
        /// The machine.
        machine: MachineName,
        /// Its server's id.
        server: u64,
        /// The snapshot's key.
        snapshot: String,
    },
    /// Take a snapshot of etcd and put it into the bucket.
    TakeSnapshot {
        /// The control plane that is asked.
        machine: MachineName,
        /// The snapshot's key.
        key: String,
    },
    /// Delete a snapshot that is older than the retention.
    PruneSnapshot {
        /// Its key.
        key: String,
    },
    /// Restart a machine's kubelet, so that it registers its node again.
    RestartKubelet {
        /// The machine.
        machine: MachineName,
    },
    /// Remove a member of etcd whose machine is gone, or leaves.
    RemoveEtcdMember {
        /// The machine that may lead etcd now and forfeits that first; `None` where it is dead.
        leads: Option<MachineName>,
        /// Etcd's id of it.
        member: u64,
        /// The host name under which it joined.
        hostname: String,
    },
    /// Make new certificate authorities and store them beside those in force.
    BeginRotation {
        /// What asked for it.
        request: String,
    },
    /// Let a rotation of authorities go on.
    AdvanceRotation {
        /// The stage that is over.
        from: RotationStage,
        /// The stage that begins.
        to: RotationStage,
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
    /// Mark a node's machine as about to be disturbed, and keep further pods from it; or as ailing.
    MarkNode {
        /// The node.
        machine: MachineName,
        /// Why, and since when.
        mark: Mark,
    },
    /// Take the mark from a node, and let pods come again.
    UnmarkNode {
        /// The node.
        machine: MachineName,
        /// Whether others had cordoned it: then no pods come yet.
        stays_cordoned: bool,
    },
    /// Ask pods to leave a node; their disruption budgets may refuse.
    EvictPods {
        /// The node.
        machine: MachineName,
        /// The pods.
        pods: Vec<PodFacts>,
    },
    /// Install another Talos on a machine and reboot into it.
    UpgradeTalos {
        /// The machine.
        machine: MachineName,
        /// As in `v1.14.0`.
        version: String,
        /// The installer's image.
        image: String,
    },
    /// Give a running machine another configuration.
    ReconfigureMachine {
        /// What the configuration follows from; not serialized, because a user's patches may hold secrets.
        #[serde(skip)]
        inputs: Box<MachineConfigInputs>,
        /// The identity of the configuration.
        digest: ConfigDigest,
        /// Whether it comes into force by a reboot.
        reboot: bool,
    },
    /// Take a node object away whose machine is gone.
    DeleteNode {
        /// The node.
        machine: MachineName,
    },
    /// Take over a resource that the specification names.
    AdoptResource {
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: u64,
        /// The name that it has from now on: a server gets its machine's, everything else keeps its own.
        name: String,
        /// All its labels from now on.
        labels: Tags,
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
    /// Let the cluster's own controllers remove the load balancer of a Service.
    DeleteService(ServiceFacts),
    /// Let the cluster's own controllers remove the volume of a claim, and the pods that use it.
    DeleteClaim(ClaimFacts),
    /// Render a component's chart, and keep what comes of it.
    RenderChart {
        /// The component.
        component: Component,
        /// The chart's version.
        version: String,
    },
    /// Make objects of a component in the cluster what they should be.
    ApplyObjects {
        /// The component.
        component: Component,
        /// What all its objects were made from: where that is another one by now, nothing is applied.
        key: String,
        /// Which, in the order of application.
        objects: Vec<ObjectId>,
    },
    /// Make a Secret of a component, or put right what differs in it.
    PutSecret {
        /// The component.
        component: Component,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Commit the GitOps tree to the platform's repository.
    PublishTree {
        /// The repository's URL.
        repository: String,
        /// The tree's digest: where it is another one by now, nothing is published.
        digest: String,
    },
    /// Delete objects that a component no longer has.
    PruneObjects {
        /// The component.
        component: Component,
        /// Which, each with its UID, in the order of deletion.
        objects: Vec<(ObjectId, String)>,
    },
    /// Take a volume from the server that has it.
    DetachVolume {
        /// The volume's id.
        volume: u64,
        /// Its name, for people.
        name: String,
    },
    /// Take a service from a load balancer.
    RemoveLoadBalancerService {
        /// The load balancer's id.
        load_balancer: u64,
        /// Its name, for people.
        name: String,
        /// The port on which the service listens.
        listen_port: u16,
    },
    /// Take a load balancer out of a network.
    DetachLoadBalancer {
        /// The load balancer's id.
        load_balancer: u64,
        /// Its name, for people.
        name: String,
        /// The network's id.
        network: u64,
    },
    /// Let go of a resource: it stays when its platform goes, and no sweep takes it for an orphan.
    ReleaseResource {
        /// Its kind.
        kind: ResourceKind,
        /// Its id.
        id: u64,
        /// Its name, which it keeps.
        name: String,
        /// Its labels from now on, Helix' own taken away.
        labels: Tags,
    },
    /// Tell the mesh' management service something.
    ChangeMesh(MeshChange),
    /// Change a DNS record at Hetzner.
    ChangeRecord(RecordChange),
    /// Forget bundle, bootstrap record and client configurations: the last step of a teardown.
    ForgetSecrets,
}

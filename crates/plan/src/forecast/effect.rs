//! What each step makes true at once; of machines and their nodes, [`machines`] says it. What takes its time after that is
//! [`super::settle`]'s.

mod machines;

use jiff::{SignedDuration, Timestamp};

use super::{Configured, World, assumed};
use crate::names::MachineName;
use crate::observed::{
    BootstrapRecord, BundleFacts, CloudFacts, CredentialFacts, EtcdFacts, EtcdMember, Fact, Firewall, LoadBalancer,
    LoadBalancerTarget, Missing, Named, Network, PlacementGroup, PrivateNet, Server, ServerStatus, Snapshot, SshKey,
    StoreFacts, Tags, TargetHealth,
};
use crate::secrets::{RotationFacts, RotationStage};
use crate::step::{NewFirewall, NewLoadBalancer, NewNetwork, NewServer, ResourceKind, Step};

/// How long an administrator's certificates are valid.
const CLIENT_CONFIG_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);

impl World<'_> {
    /// Lets a step have its effect.
    pub(super) fn carry_out(&mut self, step: &Step) {
        match step {
            Step::CreateSecretBundle => self.in_store(|it| it.bundle = Some(bundle())),
            Step::RecordBootstrap { machine, server } => self.record_bootstrap(machine, *server),
            Step::BeginRotation { .. } | Step::AdvanceRotation { .. } => self.rotate(step),
            Step::StoreKubeconfig { endpoints } => self.store_config(endpoints, |it| &mut it.kubeconfig),
            Step::StoreTalosconfig { endpoints } => self.store_config(endpoints, |it| &mut it.talosconfig),
            Step::ForgetSecrets => self.in_store(|it| *it = StoreFacts::default()),
            Step::CreateNetwork(new) => self.add(|it| &mut it.networks, |id, _| network(id, new)),
            Step::CreateFirewall(new) => self.add(|it| &mut it.firewalls, |id, _| firewall(id, new)),
            Step::CreateSshKey { name, labels } => self.add(|it| &mut it.ssh_keys, |id, _| ssh_key(id, name, labels)),
            Step::CreatePlacementGroup { name, labels } => {
                self.add(|it| &mut it.placement_groups, |id, _| placement_group(id, name, labels));
            }
            Step::CreateLoadBalancer(new) => self.create_load_balancer(new),
            Step::CreateServer(new) => self.create_server(new),
            Step::AddSubnet { network, subnet, .. } => self.network(*network, |it| it.subnets.push(*subnet)),
            Step::SetFirewallRules { firewall, rules, .. } => {
                self.firewall(*firewall, |it| it.rules.clone_from(rules));
            }
            Step::SetLoadBalancerService { .. }
            | Step::SetLoadBalancerPublic { .. }
            | Step::AttachLoadBalancer { .. }
            | Step::AddLoadBalancerTarget { .. }
            | Step::RemoveLoadBalancerTarget { .. } => self.change_balancer(step),
            Step::AttachServer { server, network, .. } => self.server(*server, |it| it.private.push(place(*network))),
            Step::ApplyFirewall { firewall, server, .. } => self.server(*server, |it| it.firewalls.push(*firewall)),
            Step::PowerOnServer { server, machine } => {
                self.server(*server, |it| it.status = ServerStatus::Starting);
                self.observed.talos.remove(machine);
            }
            Step::AdoptResource { kind, id, name, labels } => {
                self.take_over(Named { kind: *kind, id: *id }, name, labels);
            }
            Step::DeleteResource { kind, id, .. } => self.at_hetzner(|cloud| delete(cloud, *kind, *id)),
            Step::ChangeRecord(change) => self.change_record(change),
            Step::ChangeMesh(change) => self.change_mesh(change),
            Step::DeleteService(_)
            | Step::DeleteClaim(_)
            | Step::DetachVolume { .. }
            | Step::RemoveLoadBalancerService { .. }
            | Step::DetachLoadBalancer { .. }
            | Step::ReleaseResource { .. } => self.take_leave(step),
            Step::ConfigureMachine { inputs, digest, .. } => {
                self.configured.insert(inputs.machine.clone(), Configured::by(inputs, digest));
                self.observed.talos.insert(inputs.machine.clone(), Fact::Missing(Missing::NotThereYet));
            }
            Step::BootstrapEtcd { machine, .. } => self.bootstrap(machine),
            Step::RecordRestore(_)
            | Step::RecoverEtcd { .. }
            | Step::TakeSnapshot { .. }
            | Step::PruneSnapshot { .. }
            | Step::RestartKubelet { .. } => self.save_or_restore(step),
            Step::RemoveEtcdMember { member, .. } => self.remove_member(*member),
            Step::PatchNode { .. }
            | Step::DeleteNode { .. }
            | Step::MarkNode { .. }
            | Step::UnmarkNode { .. }
            | Step::EvictPods { .. } => self.at_node(step),
            Step::UpgradeTalos { .. } | Step::ReconfigureMachine { .. } => self.change_machine(step),
            Step::RenderChart { .. }
            | Step::ApplyObjects { .. }
            | Step::PutSecret { .. }
            | Step::PruneObjects { .. }
            | Step::PublishTree { .. } => self.install(step),
        }
    }

    /// What changes a load balancer.
    fn change_balancer(&mut self, step: &Step) {
        match step {
            Step::SetLoadBalancerService { load_balancer, service, .. } => self.balancer(*load_balancer, |it| {
                it.services.retain(|existing| existing.listen_port != service.listen_port);
                it.services.push(service.clone());
            }),
            Step::SetLoadBalancerPublic { load_balancer, public, .. } => {
                self.balancer(*load_balancer, |it| it.public = *public);
            }
            Step::AttachLoadBalancer { load_balancer, network, .. } => {
                self.balancer(*load_balancer, |it| it.private = vec![place(*network)]);
            }
            Step::AddLoadBalancerTarget { load_balancer, server, .. } => self.add_target(*load_balancer, *server),
            Step::RemoveLoadBalancerTarget { load_balancer, server, .. } => {
                self.balancer(*load_balancer, |it| it.targets.retain(|target| target.server != *server));
            }
            _ => {}
        }
    }

    /// What concerns snapshots of etcd. A kubelet that was restarted registers its node as any other.
    fn save_or_restore(&mut self, step: &Step) {
        match step {
            Step::RecordRestore(record) => self.in_store(|it| it.restore = Some(record.clone())),
            Step::RecoverEtcd { machine, .. } => self.bootstrap(machine),
            Step::TakeSnapshot { key, .. } => self.snapshot(key),
            Step::PruneSnapshot { key } => self.snapshots(|it| it.retain(|snapshot| snapshot.key != *key)),
            _ => {}
        }
    }

    /// A rotation of authorities begins, or goes on.
    fn rotate(&mut self, step: &Step) {
        let since = self.now;
        let facts = match step {
            Step::BeginRotation { request } => {
                Some(RotationFacts { request: request.clone(), stage: RotationStage::Accept, since })
            }
            Step::AdvanceRotation { to, .. } => {
                let before = self.observed.store.value().and_then(|store| store.rotation.clone());
                before.map(|before| RotationFacts { stage: *to, since, ..before })
            }
            _ => None,
        };
        if let Some(facts) = facts {
            self.in_store(|it| it.rotate(facts));
        }
    }

    /// Adds something that was made at Hetzner.
    fn add<T>(&mut self, list: fn(&mut CloudFacts) -> &mut Vec<T>, made: impl FnOnce(u64, &CloudFacts) -> T) {
        let id = self.new_id();
        self.at_hetzner(|cloud| {
            let made = made(id, cloud);
            list(cloud).push(made);
        });
    }

    fn network(&mut self, id: u64, change: impl FnMut(&mut Network)) {
        self.at_hetzner(|cloud| cloud.networks.iter_mut().filter(|it| it.id == id).for_each(change));
    }

    fn firewall(&mut self, id: u64, change: impl FnMut(&mut Firewall)) {
        self.at_hetzner(|cloud| cloud.firewalls.iter_mut().filter(|it| it.id == id).for_each(change));
    }

    fn balancer(&mut self, id: u64, change: impl FnMut(&mut LoadBalancer)) {
        self.at_hetzner(|cloud| cloud.load_balancers.iter_mut().filter(|it| it.id == id).for_each(change));
    }

    fn add_target(&mut self, balancer: u64, server: u64) {
        self.balancer(balancer, |it| it.targets.push(LoadBalancerTarget { server, health: TargetHealth::Unknown }));
    }

    fn server(&mut self, id: u64, change: impl FnMut(&mut Server)) {
        self.at_hetzner(|cloud| cloud.servers.iter_mut().filter(|it| it.id == id).for_each(change));
    }

    fn create_load_balancer(&mut self, new: &NewLoadBalancer) {
        let now = self.now;
        self.add(|it| &mut it.load_balancers, |id, _| load_balancer(id, new, now));
    }

    fn create_server(&mut self, new: &NewServer) {
        // Whatever was known of the name was of a former machine.
        self.observed.talos.remove(&new.machine);
        self.configured.remove(&new.machine);
        let now = self.now;
        self.add(|it| &mut it.servers, |id, cloud| server(id, new, cloud, now));
        let Some(id) = self.observed.cloud.value().and_then(|cloud| cloud.servers.last()).map(|it| it.id) else {
            return;
        };
        self.at_hetzner(|cloud| {
            let groups = cloud.placement_groups.iter_mut();
            groups.filter(|it| Some(it.id) == new.placement_group).for_each(|it| it.servers.push(id));
        });
    }

    fn record_bootstrap(&mut self, machine: &MachineName, server_id: u64) {
        let record = BootstrapRecord { machine: machine.clone(), server_id, at: self.now };
        self.in_store(|it| it.bootstrap = Some(record));
    }

    fn store_config(&mut self, endpoints: &[String], place: fn(&mut StoreFacts) -> &mut Option<CredentialFacts>) {
        let expires_at = self.now + CLIENT_CONFIG_LIFE;
        self.in_store(|it| {
            let bundle_digest = it.bundle.as_ref().map(|bundle| bundle.digest.clone()).unwrap_or_default();
            *place(it) = Some(CredentialFacts { endpoints: endpoints.to_vec(), expires_at, bundle_digest });
        });
    }

    /// Etcd begins with one member, which does not answer yet.
    fn bootstrap(&mut self, machine: &MachineName) {
        let member = EtcdMember { id: self.new_member_id(), hostname: machine.to_string(), learner: false };
        self.observed.etcd = Fact::known(EtcdFacts { members: vec![member] }, self.now);
        if self.observed.backups.snapshots == Fact::Missing(Missing::NotThereYet) {
            self.observed.backups.snapshots = Fact::known(Vec::new(), self.now);
        }
    }

    fn snapshots(&mut self, change: impl FnOnce(&mut Vec<Snapshot>)) {
        self.observed.backups.snapshots.value_mut().map(change);
    }

    fn snapshot(&mut self, key: &str) {
        let snapshot = Snapshot { key: key.to_owned(), size_bytes: 0, taken_at: self.now };
        self.snapshots(|it| it.push(snapshot));
    }

    fn remove_member(&mut self, member: u64) {
        if let Some(etcd) = self.observed.etcd.value_mut() {
            etcd.members.retain(|existing| existing.id != member);
        }
    }
}

fn bundle() -> BundleFacts {
    BundleFacts { digest: assumed::BUNDLE_DIGEST.to_owned() }
}

fn network(id: u64, new: &NewNetwork) -> Network {
    Network { id, name: new.name.clone(), labels: new.labels.clone(), cidr: new.cidr, subnets: vec![new.subnet] }
}

fn firewall(id: u64, new: &NewFirewall) -> Firewall {
    Firewall { id, name: new.name.clone(), labels: new.labels.clone(), rules: new.rules.clone() }
}

fn ssh_key(id: u64, name: &str, labels: &Tags) -> SshKey {
    SshKey { id, name: name.to_owned(), labels: labels.clone() }
}

fn placement_group(id: u64, name: &str, labels: &Tags) -> PlacementGroup {
    PlacementGroup { id, name: name.to_owned(), labels: labels.clone(), servers: Vec::new() }
}

/// A place in a network that has no address yet.
fn place(network: u64) -> PrivateNet {
    PrivateNet { network, ip: None }
}

fn load_balancer(id: u64, new: &NewLoadBalancer, now: Timestamp) -> LoadBalancer {
    LoadBalancer {
        id,
        name: new.name.clone(),
        labels: new.labels.clone(),
        kind: new.kind.clone(),
        location: new.location.clone(),
        public: new.public,
        public_ipv4: Some(assumed::PUBLIC_ENDPOINT),
        private: vec![place(new.network)],
        services: vec![new.service.clone()],
        targets: Vec::new(),
        created: Some(now),
    }
}

fn server(id: u64, new: &NewServer, cloud: &CloudFacts, now: Timestamp) -> Server {
    Server {
        id,
        name: new.machine.to_string(),
        labels: new.labels.clone(),
        status: ServerStatus::Initializing,
        locked: true,
        server_type: new.server_type.clone(),
        location: new.location.clone(),
        public_ipv4: Some(assumed::public_address(cloud)),
        private: vec![place(new.network)],
        placement_group: new.placement_group,
        firewalls: vec![new.firewall],
        created: Some(now),
    }
}

/// A server goes through a status of its own; everything else is gone at once.
fn delete(cloud: &mut CloudFacts, kind: ResourceKind, id: u64) {
    match kind {
        ResourceKind::Server => {
            cloud.servers.iter_mut().filter(|it| it.id == id).for_each(|it| it.status = ServerStatus::Deleting);
        }
        ResourceKind::LoadBalancer => {
            cloud.load_balancers.retain(|it| it.id != id);
            cloud.unlabelled.load_balancers.retain(|it| it.id != id);
        }
        ResourceKind::Volume => cloud.volumes.retain(|it| it.id != id),
        ResourceKind::PlacementGroup => cloud.placement_groups.retain(|it| it.id != id),
        ResourceKind::Firewall => cloud.firewalls.retain(|it| it.id != id),
        ResourceKind::SshKey => cloud.ssh_keys.retain(|it| it.id != id),
        ResourceKind::Network => cloud.networks.retain(|it| it.id != id),
    }
}

impl StoreFacts {
    /// A rotation has come to a stage: what is in force, and so the bundle's name, is another one, but for the last.
    fn rotate(&mut self, facts: RotationFacts) {
        if let Some(bundle) = self.bundle.as_mut().filter(|_| facts.stage != RotationStage::Done) {
            bundle.digest = format!("{}-{:?}", facts.request, facts.stage);
        }
        self.rotation = Some(facts);
    }
}

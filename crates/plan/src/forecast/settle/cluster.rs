//! Etcd, the API that stands on it, and the nodes that register there.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::super::Configured;
use super::{World, durations, pod_network, running};
use crate::data_gate::DataFacts;
use crate::names::MachineName;
use crate::observed::{
    EtcdFacts, EtcdMember, Fact, KubernetesFacts, MachineStage, Missing, NodeFacts, Proofs, Readiness, ServerStatus,
    TalosFacts, TargetHealth,
};
use crate::owned::Owned;
use crate::phases::{Concern, Context};
use crate::quorum::{Quorum, majority};
use crate::render::machine_config::split_labels;
use crate::schematic;
use crate::secrets::RotationStage;
use crate::step::Step;
use crate::validated::{Endpoint, ValidatedPlatform};

/// The service's name in Talos.
const ETCD: &str = "etcd";

impl World<'_> {
    pub(super) fn settle_cluster(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let pods = self.settle_pods();
        let readiness = self.settle_readiness();
        let health = self.settle_health();
        let nodes = self.settle_nodes(platform);
        let proofs = self.settle_proofs();
        let extensions = self.settle_extensions(platform);
        let names = self.settle_names(platform);
        let mesh = self.settle_mesh(platform);
        let api = self.settle_api(platform);
        let targets = self.settle_targets();
        let etcd = self.settle_etcd(platform);
        [pods, readiness, health, nodes, proofs, extensions, names, mesh, api, targets, etcd]
            .into_iter()
            .flatten()
            .max()
    }

    /// While authorities are rotated every machine that is up answers to the next ones, as they are accepted already.
    fn settle_proofs(&mut self) -> Option<SignedDuration> {
        let under_way = self.observed.store.value()?.rotation.as_ref()?.stage != RotationStage::Done;
        let up: BTreeSet<MachineName> =
            self.observed.talos.keys().filter(|machine| under_way && self.is_configured(machine)).cloned().collect();
        let proofs = Proofs {
            api_servers: up.iter().filter(|machine| machine.is_control_plane()).cloned().collect(),
            machines: up,
        };
        if self.observed.proofs == proofs {
            return None;
        }
        self.observed.proofs = proofs;
        Some(durations::PODS_LISTED)
    }

    /// A configured machine that is not known to lack anything holds what the specification's schematic is to hold.
    fn settle_extensions(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let held: BTreeSet<String> =
            platform.extensions.iter().map(|name| schematic::name_on_machines(name).to_owned()).collect();
        let silent: Vec<MachineName> = self
            .observed
            .talos
            .keys()
            .filter(|machine| !held.is_empty() && self.is_configured(machine))
            .filter(|machine| !self.observed.extensions.contains_key(machine))
            .cloned()
            .collect();
        if silent.is_empty() {
            return None;
        }
        let now = self.now;
        self.observed.extensions.extend(silent.into_iter().map(|machine| (machine, Fact::known(held.clone(), now))));
        Some(durations::PODS_LISTED)
    }

    /// Nodes that are marked are asked for their pods, of which a forecast knows no more than was seen; pods that have been
    /// asked to leave do.
    fn settle_pods(&mut self) -> Option<SignedDuration> {
        let kubernetes = self.observed.kubernetes.value_mut()?;
        let mut took = None;
        for pods in kubernetes.pods.values_mut() {
            let staying = pods.len();
            pods.retain(|pod| !pod.leaving);
            took = took.max((pods.len() < staying).then_some(durations::PODS_LEFT));
        }
        if kubernetes.data.is_none() && kubernetes.nodes.iter().any(|node| node.mark.is_some()) {
            kubernetes.data = Some(DataFacts::default());
            took = took.max(Some(durations::PODS_LISTED));
        }
        for node in kubernetes.nodes.iter().filter(|node| node.mark.is_some()) {
            if !kubernetes.pods.contains_key(&node.name) {
                kubernetes.pods.insert(node.name.clone(), Vec::new());
                took = took.max(Some(durations::PODS_LISTED));
            }
        }
        took
    }

    /// Nodes whose machine is up say so: Ready where there is a pod network, else that they only lack one.
    fn settle_readiness(&mut self) -> Option<SignedDuration> {
        let nodes = &self.observed.kubernetes.value()?.nodes;
        let network = self.has_network() || nodes.iter().any(|node| node.readiness == Readiness::Ready);
        let up = if network { Readiness::Ready } else { Readiness::NotReady { since: None } };
        let is_up = |node: &&NodeFacts| {
            let machine = MachineName::parse(&node.name).ok();
            let talos = machine.and_then(|machine| self.observed.talos_of(&machine));
            talos.is_some_and(|talos| talos.ailment().is_none())
        };
        let says_otherwise = |node: &&NodeFacts| match node.readiness {
            Readiness::Ready => false,
            Readiness::NotReady { .. } => network,
            Readiness::Silent { .. } => true,
        };
        let risen: Vec<String> = nodes.iter().filter(says_otherwise).filter(is_up).map(|it| it.name.clone()).collect();
        let nodes = &mut self.observed.kubernetes.value_mut()?.nodes;
        nodes.iter_mut().filter(|node| risen.contains(&node.name)).for_each(|node| node.readiness = up);
        (!risen.is_empty()).then_some(durations::NODE_READY)
    }

    /// Members start, join one after the other, and get their vote.
    fn settle_etcd(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let Some(etcd) = self.observed.etcd.value() else { return self.recover_etcd(platform) };
        let members = etcd.members.clone();
        if let Some(began) = self.name_member(platform, &members) {
            return Some(began);
        }
        let silent = members.iter().filter_map(|member| MachineName::parse(&member.hostname).ok());
        let silent: Vec<MachineName> =
            silent.filter(|machine| self.is_configured(machine) && !self.serves_etcd(machine)).collect();
        if !silent.is_empty() {
            silent.iter().for_each(|machine| self.start_etcd(machine));
            return Some(durations::ETCD_STARTED);
        }
        if !self.etcd_decides() {
            return None;
        }
        let learner = members.iter().find(|member| member.learner && !member.hostname.is_empty());
        if let Some(learner) = learner {
            let etcd = self.observed.etcd.value_mut()?;
            etcd.members.iter_mut().filter(|member| member.id == learner.id).for_each(|member| member.learner = false);
            return Some(durations::ETCD_PROMOTED);
        }
        let joining = self.joining(platform, &members)?;
        let member = EtcdMember { id: self.new_member_id(), hostname: joining.to_string(), learner: true };
        self.observed.etcd.value_mut()?.members.push(member);
        self.start_etcd(&joining);
        Some(durations::ETCD_STARTED)
    }

    /// A control plane that is configured and no member by name.
    fn joining(&self, platform: &ValidatedPlatform, members: &[EtcdMember]) -> Option<MachineName> {
        let pool = &platform.control_plane.name;
        let joins = |machine: &&MachineName| {
            let name = machine.to_string();
            machine.pool() == pool && self.is_configured(machine) && members.iter().all(|it| it.hostname != name)
        };
        self.observed.talos.keys().find(joins).cloned()
    }

    /// A member tells its name only when its etcd has started: it is that of a machine which is joining.
    fn name_member(&mut self, platform: &ValidatedPlatform, members: &[EtcdMember]) -> Option<SignedDuration> {
        let nameless = members.iter().find(|member| member.hostname.is_empty())?.id;
        let joining = self.joining(platform, members)?;
        let etcd = self.observed.etcd.value_mut()?;
        etcd.members.iter_mut().find(|member| member.id == nameless)?.hostname = joining.to_string();
        self.start_etcd(&joining);
        Some(durations::ETCD_STARTED)
    }

    /// Etcd that could not be asked answers again once a majority of the control planes that were there before is back.
    fn recover_etcd(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let Fact::Missing(Missing::Unreachable { .. }) = &self.observed.etcd else { return None };
        let servers = &self.observed.cloud.value()?.servers;
        let back: Vec<String> = servers
            .iter()
            .filter(|server| server.id < self.first_id)
            .filter_map(|server| MachineName::parse(&server.name).ok())
            .filter(|machine| machine.is_control_plane() && self.is_configured(machine))
            .map(|machine| machine.to_string())
            .collect();
        if back.len() < majority(platform.control_plane.replicas as usize) {
            return None;
        }
        let members = back.into_iter().map(|hostname| EtcdMember { id: self.new_id(), hostname, learner: false });
        self.observed.etcd = Fact::known(EtcdFacts { members: members.collect() }, self.now);
        Some(durations::ETCD_STARTED)
    }

    /// The API server answers once etcd decides; through the platform's endpoint once somebody stands behind that.
    fn settle_api(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        if !self.etcd_decides() {
            return None;
        }
        let through_endpoint = match platform.endpoint {
            // Where its public interface is closed by now, the control planes are asked themselves.
            Endpoint::LoadBalancer { public: true } => self
                .observed
                .cloud
                .value()?
                .load_balancers
                .iter()
                .any(|it| !it.public || it.targets.iter().any(|target| target.health == TargetHealth::Healthy)),
            Endpoint::LoadBalancer { public: false } | Endpoint::Dns { .. } => true,
        };
        match &mut self.observed.kubernetes {
            Fact::Known { value, .. } if value.through_endpoint == through_endpoint => None,
            Fact::Known { value, .. } => {
                value.through_endpoint = through_endpoint;
                Some(durations::TARGET_HEALTHY)
            }
            Fact::Missing(Missing::Refused { .. }) => None,
            missing @ Fact::Missing(Missing::NotThereYet | Missing::Unreachable { .. }) => {
                *missing = Fact::known(KubernetesFacts { through_endpoint, ..KubernetesFacts::default() }, self.now);
                Some(durations::API_SERVED)
            }
        }
    }

    /// A target is healthy while its API server answers.
    fn settle_targets(&mut self) -> Option<SignedDuration> {
        self.observed.kubernetes.value()?;
        let cloud = self.observed.cloud.value()?;
        let serving: Vec<u64> = cloud
            .servers
            .iter()
            .filter(|server| MachineName::parse(&server.name).is_ok_and(|machine| self.serves_etcd(&machine)))
            .map(|server| server.id)
            .collect();
        let mut took = None;
        for balancer in &mut self.observed.cloud.value_mut()?.load_balancers {
            for target in &mut balancer.targets {
                let health =
                    if serving.contains(&target.server) { TargetHealth::Healthy } else { TargetHealth::Unhealthy };
                if target.health != health {
                    target.health = health;
                    took = Some(durations::TARGET_HEALTHY);
                }
            }
        }
        took
    }

    /// Once the API answers, machines that were still starting finish: services, static pods and all but the pod network.
    fn settle_health(&mut self) -> Option<SignedDuration> {
        self.observed.kubernetes.value()?;
        let ails = |machine: &MachineName| self.observed.talos_of(machine).is_some_and(|it| it.ailment().is_some());
        let may_finish = |machine: &MachineName| !machine.is_control_plane() || self.serves_etcd(machine);
        let starting: Vec<MachineName> = self
            .observed
            .talos
            .keys()
            .filter(|machine| self.is_configured(machine) && ails(machine) && may_finish(machine))
            .cloned()
            .collect();
        for machine in &starting {
            if let Some(Fact::Known { value: TalosFacts::Configured { stage, unmet, .. }, .. }) =
                self.observed.talos.get_mut(machine)
            {
                *stage = MachineStage::Running;
                *unmet = pod_network();
            }
        }
        (!starting.is_empty()).then_some(durations::API_SERVED)
    }

    /// Configured machines register, as their kubelet may.
    fn settle_nodes(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let known: Vec<String> = self.observed.kubernetes.value()?.nodes.iter().map(|node| node.name.clone()).collect();
        let missing = |machine: &&MachineName| self.is_configured(machine) && !known.contains(&machine.to_string());
        let missing: Vec<MachineName> = self.observed.talos.keys().filter(missing).cloned().collect();
        self.assume_configurations(platform, &missing);
        let nodes: Vec<NodeFacts> = missing.iter().filter_map(|machine| self.node(platform, machine)).collect();
        if nodes.is_empty() {
            return None;
        }
        self.observed.kubernetes.value_mut()?.nodes.extend(nodes);
        Some(durations::NODE_REGISTERED)
    }

    fn node(&self, platform: &ValidatedPlatform, machine: &MachineName) -> Option<NodeFacts> {
        let pool = platform.pool(machine.pool())?;
        let name = machine.to_string();
        let cloud = self.observed.cloud.value()?;
        let server = cloud.servers.iter().find(|server| server.name == name)?;
        let mut node = NodeFacts {
            name,
            provider_id: Some(format!("hcloud://{}", server.id)),
            readiness: Readiness::NotReady { since: None },
            unschedulable: false,
            mark: None,
            labels: split_labels(&pool.labels).at_birth,
            config_digest: None,
            control_plane: None,
            owned: Owned::default(),
            taints: pool.taints.clone(),
            kubelet_version: String::new(),
            internal_ip: cloud.private_ipv4(&server.private),
        };
        self.configured.get(machine)?.show(&mut node);
        Some(node)
    }

    /// Machines that were configured before the forecast began, and whose node does not tell by what, are taken to run
    /// what is wanted of them: what the planner would give them if they still waited for it.
    fn assume_configurations(&mut self, platform: &ValidatedPlatform, machines: &[MachineName]) {
        let untold: Vec<&MachineName> =
            machines.iter().filter(|machine| !self.configured.contains_key(machine)).collect();
        if untold.is_empty() {
            return;
        }
        let mut waiting = self.observed.clone();
        for machine in untold {
            let version = format!("v{}", platform.versions.talos);
            waiting.talos.insert(machine.clone(), Fact::known(TalosFacts::Maintenance { version }, self.now));
        }
        let (Some(cloud), Some(store)) = (waiting.cloud.value(), waiting.store.value()) else { return };
        let context = Context::new(platform, &waiting, cloud, store, self.now);
        let assumed: Vec<(MachineName, Configured)> = Concern::MachineConfigs
            .plan(&context)
            .steps
            .into_iter()
            .filter_map(|step| {
                let Step::ConfigureMachine { inputs, digest, .. } = step else { return None };
                Some((inputs.machine.clone(), Configured::by(&inputs, &digest)))
            })
            .collect();
        self.configured.extend(assumed);
    }

    fn is_configured(&self, machine: &MachineName) -> bool {
        let name = machine.to_string();
        let runs = self.observed.cloud.value().is_some_and(|cloud| {
            cloud.servers.iter().any(|server| server.name == name && server.status == ServerStatus::Running)
        });
        runs && matches!(self.observed.talos_of(machine), Some(TalosFacts::Configured { .. }))
    }

    fn serves_etcd(&self, machine: &MachineName) -> bool {
        self.observed.talos_of(machine).is_some_and(|talos| talos.serves(ETCD))
    }

    fn etcd_decides(&self) -> bool {
        let serves = |hostname: &str| MachineName::parse(hostname).is_ok_and(|machine| self.serves_etcd(&machine));
        self.observed.etcd.value().is_some_and(|etcd| Quorum::new(etcd, serves).holds())
    }

    pub(super) fn start_etcd(&mut self, machine: &MachineName) {
        let Some(Fact::Known { value: TalosFacts::Configured { stage, unmet, services, .. }, .. }) =
            self.observed.talos.get_mut(machine)
        else {
            return;
        };
        *stage = MachineStage::Running;
        *unmet = pod_network();
        services.retain(|service| service.id != ETCD);
        services.push(running(ETCD));
    }
}

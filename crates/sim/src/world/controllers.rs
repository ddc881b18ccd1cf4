//! Hetzner's own controllers, which run inside of clusters and act on the project with the cluster's token: the cloud
//! controller manager makes a load balancer for each Service of type LoadBalancer, the volume driver a volume for each claim.
//!
//! Each call of a `step` function does one thing, as the real ones do between two looks: a load balancer is made first,
//! then attached, then given its targets. What made something is known here, and to nobody who looks at the project: labels
//! and names can be written by anybody. Left out: everything that a Service may ask for by annotations, and ports.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{LoadBalancerId, ProjectId, ServerId, VolumeId};
use super::labels::Labels;
use super::load_balancers::{CreateLoadBalancer, LoadBalancerChange, TargetKind};
use super::volumes::CreateVolume;
use super::{Due, World};

/// The label of a load balancer that says whose it is.
pub const SERVICE_UID: &str = "hcloud-ccm/service-uid";

/// How soon controllers look again while they have something to do.
const BUSY: Duration = Duration::from_secs(3);

/// How soon they look again while something is to be done that they cannot do.
const STUCK: Duration = Duration::from_secs(30);

/// The name of a load balancer, as Kubernetes derives it from the Service.
fn name_of(service_uid: &str) -> String {
    let bare: String = service_uid.chars().filter(char::is_ascii_alphanumeric).take(31).collect();
    format!("a{bare}")
}

impl World {
    /// The load balancers and volumes that a cluster's own controllers have made, whatever they are called.
    #[must_use]
    pub fn is_made_inside(&self, balancer: LoadBalancerId) -> bool {
        self.made_inside.contains(&balancer)
    }

    fn of_service(&self, project: ProjectId, uid: &str) -> Option<LoadBalancerId> {
        let all = self.project(project).load_balancers.values();
        all.filter(|it| it.meta.labels.get(SERVICE_UID).is_some_and(|found| found == uid)).map(|it| it.id).next()
    }

    /// The project that these machines are in.
    pub fn project_of(&self, machines: &[ServerId]) -> Option<ProjectId> {
        let holds =
            |servers: &std::collections::BTreeMap<ServerId, _>| machines.iter().any(|it| servers.contains_key(it));
        self.projects().find(|(_, project)| holds(&project.servers)).map(|(id, _)| id)
    }

    /// One step towards the load balancer of a Service, by the controller of a cluster of these machines. Says whether
    /// there is nothing more to do.
    pub fn step_to_balancer(&mut self, machines: &[ServerId], service_uid: &str, now: Timestamp) -> bool {
        let Some(project) = self.project_of(machines) else { return true };
        let servers: Vec<ServerId> =
            machines.iter().copied().filter(|it| self.project(project).servers.contains_key(it)).collect();
        let first = servers.first().and_then(|first| self.project(project).servers.get(first));
        let network = first.and_then(|server| server.private_net.first()).map(|net| net.network);
        let Some(id) = self.of_service(project, service_uid) else {
            let order = CreateLoadBalancer {
                name: name_of(service_uid),
                kind: "lb11".to_owned(),
                location: first.map(|server| server.location.name.to_owned()),
                labels: Labels::from([(SERVICE_UID.to_owned(), service_uid.to_owned())]),
                ..CreateLoadBalancer::default()
            };
            if let Ok((id, _)) = self.create_load_balancer(project, order, now) {
                self.made_inside.insert(id);
            }
            return false;
        };
        let Some(balancer) = self.project(project).load_balancers.get(&id) else { return false };
        let change = match (balancer.private_net, network) {
            (None, Some(network)) => LoadBalancerChange::Attach { network, ip: None },
            (net, _) => {
                let has = |server: ServerId| {
                    let is_it =
                        |kind: &TargetKind| matches!(kind, TargetKind::Server { server: it, .. } if *it == server);
                    balancer.targets.iter().any(|target| is_it(&target.kind))
                };
                let Some(server) = servers.into_iter().find(|server| !has(*server)) else { return true };
                LoadBalancerChange::AddTarget(TargetKind::Server { server, use_private_ip: net.is_some() })
            }
        };
        // Refused while another change is under way: it is done at the next look.
        self.change_load_balancer(project, id, change, now).ok();
        false
    }

    /// The public address of the load balancer of a Service.
    #[must_use]
    pub fn address_of_service(&self, machines: &[ServerId], service_uid: &str) -> Option<Ipv4Addr> {
        let project = self.project_of(machines)?;
        let id = self.of_service(project, service_uid)?;
        self.project(project).load_balancers.get(&id).filter(|it| it.public).map(|it| it.address)
    }

    /// One step away from the load balancer of a Service. Says whether there is none any more.
    pub fn step_from_balancer(&mut self, machines: &[ServerId], service_uid: &str, now: Timestamp) -> bool {
        let Some(project) = self.project_of(machines) else { return false };
        let Some(id) = self.of_service(project, service_uid) else { return true };
        self.delete_load_balancer(project, id, now).ok();
        false
    }

    /// One step towards the volume of a claim, which gets these labels. Says whether there is nothing more to do.
    fn step_to_volume(&mut self, machines: &[ServerId], claim_uid: &str, labels: &Labels, now: Timestamp) -> bool {
        let Some(project) = self.project_of(machines) else { return true };
        let name = format!("pvc-{claim_uid}");
        match self.volume_named(project, &name) {
            Some(_) => true,
            None => {
                let server = machines.iter().copied().rfind(|it| self.project(project).servers.contains_key(it));
                let order =
                    CreateVolume { name, size_gb: 10, server, labels: labels.clone(), ..CreateVolume::default() };
                self.create_volume(project, order, now).ok();
                false
            }
        }
    }

    /// One step away from the volume of a claim: it leaves its server first. Says whether there is none any more.
    fn step_from_volume(&mut self, machines: &[ServerId], claim_uid: &str, now: Timestamp) -> bool {
        let Some(project) = self.project_of(machines) else { return false };
        let Some(id) = self.volume_named(project, &format!("pvc-{claim_uid}")) else { return true };
        let attached = self.project(project).volumes.get(&id).is_some_and(|it| it.server.is_some());
        if attached {
            self.detach_volume(project, id, now).ok();
        } else {
            self.delete_volume(project, id, now).ok();
        }
        false
    }

    fn volume_named(&self, project: ProjectId, name: &str) -> Option<VolumeId> {
        self.project(project).volumes.values().find(|it| it.meta.name == name).map(|it| it.id)
    }

    /// Controllers of modelled clusters look soon: there is news for them.
    pub fn wake_controllers(&mut self) {
        let soon = self.now() + BUSY;
        self.schedule(soon, Due::Controllers);
    }

    /// What the controllers of all modelled clusters do at one look.
    pub(super) fn play_controllers(&mut self) {
        let now = self.now();
        let (mut busy, mut stuck) = (false, false);
        for cluster in self.guests.clusters_to_control() {
            if !cluster.controlled {
                stuck |= cluster.inside.has_work();
                continue;
            }
            let machines = &cluster.machines;
            for (name, service) in &cluster.inside.services {
                let done = match service.leaving {
                    None => self.step_to_balancer(machines, &service.uid, now),
                    Some(_) => self.step_from_balancer(machines, &service.uid, now),
                };
                busy |= !done;
                if done && service.leaving.is_some() {
                    self.guests.forget_service(cluster.id, name);
                }
            }
            for (name, claim) in &cluster.inside.claims {
                let done = match claim.leaving {
                    None => self.step_to_volume(machines, &claim.uid, &claim.labels, now),
                    Some(_) => self.step_from_volume(machines, &claim.uid, now),
                };
                busy |= !done;
                if done && claim.leaving.is_some() {
                    self.guests.forget_claim(cluster.id, name);
                }
            }
        }
        if busy || stuck {
            self.schedule(now + if busy { BUSY } else { STUCK }, Due::Controllers);
        }
    }
}

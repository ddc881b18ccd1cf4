//! What the steps of a teardown make true, inside the cluster and of what stays behind.

use helix_crds::labels;
use jiff::SignedDuration;

use super::{World, durations};
use crate::observed::{CloudFacts, LoadBalancer};
use crate::step::{ResourceKind, Step};

impl World<'_> {
    /// Lets a step of a teardown have its effect; deletions at Hetzner are [`super::effect`]'s.
    pub(super) fn take_leave(&mut self, step: &Step) {
        match step {
            Step::DeleteService(service) => self.ask_to_leave(&service.uid),
            Step::DeleteClaim(claim) => self.ask_to_leave(&claim.uid),
            Step::DetachVolume { volume, .. } => self.at_hetzner(|cloud| {
                cloud.volumes.iter_mut().filter(|it| it.id == *volume).for_each(|it| it.server = None);
            }),
            Step::RemoveLoadBalancerService { load_balancer, listen_port, .. } => {
                self.strip(*load_balancer, |it| it.services.retain(|service| service.listen_port != *listen_port));
            }
            Step::DetachLoadBalancer { load_balancer, network, .. } => {
                self.strip(*load_balancer, |it| it.private.retain(|place| place.network != *network));
            }
            Step::ReleaseResource { kind, id, .. } => self.at_hetzner(|cloud| release(cloud, *kind, *id)),
            _ => {}
        }
    }

    fn ask_to_leave(&mut self, uid: &str) {
        let now = self.now;
        let Some(cluster) = self.observed.kubernetes.value_mut() else { return };
        cluster.services.iter_mut().filter(|it| it.uid == uid).for_each(|it| it.leaving = Some(now));
        cluster.claims.iter_mut().filter(|it| it.uid == uid).for_each(|it| it.leaving = Some(now));
    }

    fn strip(&mut self, balancer: u64, change: impl FnMut(&mut LoadBalancer)) {
        self.at_hetzner(|cloud| cloud.load_balancers.iter_mut().filter(|it| it.id == balancer).for_each(change));
    }

    /// What is being deleted inside the cluster goes, and the load balancers that were made for it.
    pub(super) fn settle_inside(&mut self) -> Option<SignedDuration> {
        let cluster = self.observed.kubernetes.value_mut()?;
        let services = cluster.services.extract_if(.., |it| it.leaving.is_some());
        let gone: Vec<String> = services.map(|service| service.uid).collect();
        let claims = cluster.claims.extract_if(.., |it| it.leaving.is_some()).count();
        self.at_hetzner(|cloud| {
            let is_gone = |it: &LoadBalancer| it.labels.get(labels::SERVICE_UID).is_some_and(|uid| gone.contains(uid));
            cloud.unlabelled.load_balancers.retain(|it| !is_gone(it));
        });
        (claims > 0 || !gone.is_empty()).then_some(durations::REMOVED_INSIDE)
    }
}

/// What is released is nobody's: it shows in no platform's facts any more.
fn release(cloud: &mut CloudFacts, kind: ResourceKind, id: u64) {
    match kind {
        ResourceKind::Server => cloud.servers.retain(|it| it.id != id),
        ResourceKind::LoadBalancer => cloud.load_balancers.retain(|it| it.id != id),
        ResourceKind::Volume => cloud.volumes.retain(|it| it.id != id),
        ResourceKind::PlacementGroup => cloud.placement_groups.retain(|it| it.id != id),
        ResourceKind::Firewall => cloud.firewalls.retain(|it| it.id != id),
        ResourceKind::SshKey => cloud.ssh_keys.retain(|it| it.id != id),
        ResourceKind::Network => cloud.networks.retain(|it| it.id != id),
    }
}

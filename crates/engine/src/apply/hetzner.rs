//! Steps at Hetzner: one request each. Creation is idempotent by the unique name.

use helix_plan::observed::{
    CloudFacts, Firewall, LoadBalancer, LoadBalancerTarget, Named, Network, PlacementGroup, PrivateNet, Server,
    ServerStatus, SetbackKind, SshKey, TargetHealth,
};
use helix_plan::step::{NewServer, ResourceKind, Step};

use super::{Applier, Met};
use crate::seams::{Accepted, CloudError};

impl Applier<'_> {
    pub(super) async fn at_hetzner(&self, step: &Step) -> Result<(), Met> {
        let cloud = self.seams.project.cloud();
        let lane = step.lane();
        match step {
            Step::CreateNetwork(new) => {
                let made = cloud.create_network(lane, new).await;
                self.keep(made, ResourceKind::Network, &new.name, step, |facts| &mut facts.networks).await
            }
            Step::CreateFirewall(new) => {
                let made = cloud.create_firewall(lane, new).await;
                self.keep(made, ResourceKind::Firewall, &new.name, step, |facts| &mut facts.firewalls).await
            }
            Step::CreateSshKey { name, labels } => {
                let public_key = self.seams.secrets.make_ssh_public_key(name)?;
                let made = cloud.create_ssh_key(lane, name, labels, &public_key).await;
                self.keep(made, ResourceKind::SshKey, name, step, |facts| &mut facts.ssh_keys).await
            }
            Step::CreatePlacementGroup { name, labels } => {
                let made = cloud.create_placement_group(lane, name, labels).await;
                self.keep(made, ResourceKind::PlacementGroup, name, step, |facts| &mut facts.placement_groups).await
            }
            Step::CreateLoadBalancer(new) => {
                let made = cloud.create_load_balancer(lane, new).await;
                self.keep(made, ResourceKind::LoadBalancer, &new.name, step, |facts| &mut facts.load_balancers).await
            }
            Step::CreateServer(new) => self.create_server(new, step).await,
            Step::DeleteResource { kind, id, .. } => {
                let accepted = cloud.delete(lane, *kind, *id).await?;
                self.accepted(step, accepted.actions, |facts| mark_deleted(facts, *kind, *id)).await;
                Ok(())
            }
            Step::AdoptResource { kind, id, name, labels } => {
                let adopted = cloud.relabel(lane, Named { kind: *kind, id: *id }, name, labels).await;
                // Only a fresh reading has what was not the platform's so far.
                self.seams.project.distrust().await;
                match adopted {
                    Err(CloudError::Taken { name }) => {
                        Err(Met::from_kind(SetbackKind::ForeignResource { kind: kind.words(), name }))
                    }
                    other => Ok(other?),
                }
            }
            Step::ReleaseResource { kind, id, name, labels } => {
                match cloud.relabel(lane, Named { kind: *kind, id: *id }, name, labels).await {
                    Ok(()) | Err(CloudError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                self.accepted(step, Vec::new(), |facts| mark_released(facts, *kind, *id)).await;
                Ok(())
            }
            _ => self.change(step).await,
        }
    }

    pub(super) async fn accepted(&self, step: &Step, actions: Vec<u64>, change: impl FnOnce(&mut CloudFacts) + Send) {
        let now = self.seams.clock.now();
        self.seams.project.accepted(self.platform, step, actions, now, change).await;
    }

    async fn create_server(&self, new: &NewServer, step: &Step) -> Result<(), Met> {
        let made = self.seams.project.cloud().create_server(step.lane(), new).await;
        if let Err(CloudError::Unavailable { message }) = &made {
            tracing::warn!(machine = %new.machine, message, "no capacity");
            let kind = SetbackKind::PlacementUnavailable {
                server_type: new.server_type.clone(),
                location: new.location.clone(),
            };
            return Err(Met::from_kind(kind));
        }
        let name = new.machine.to_string();
        self.keep(made, ResourceKind::Server, &name, step, |facts| &mut facts.servers).await
    }

    /// Steps that change what exists.
    async fn change(&self, step: &Step) -> Result<(), Met> {
        let cloud = self.seams.project.cloud();
        let lane = step.lane();
        let accepted = match step {
            Step::AddSubnet { network, subnet, zone } => cloud.add_subnet(lane, *network, *subnet, zone).await?,
            Step::SetFirewallRules { firewall, rules, .. } => cloud.set_firewall_rules(lane, *firewall, rules).await?,
            Step::SetLoadBalancerService { load_balancer, service, missing, .. } => {
                cloud.set_load_balancer_service(lane, *load_balancer, service, *missing).await?
            }
            Step::SetLoadBalancerPublic { load_balancer, public, .. } => {
                cloud.set_load_balancer_public(lane, *load_balancer, *public).await?
            }
            Step::AttachLoadBalancer { load_balancer, network, .. } => {
                cloud.attach_load_balancer(lane, *load_balancer, *network).await?
            }
            Step::AddLoadBalancerTarget { load_balancer, server, .. } => {
                cloud.add_target(lane, *load_balancer, *server).await?
            }
            Step::RemoveLoadBalancerTarget { load_balancer, server, .. } => {
                cloud.remove_target(lane, *load_balancer, *server).await?
            }
            Step::AttachServer { server, network, .. } => cloud.attach_server(lane, *server, *network).await?,
            Step::ApplyFirewall { firewall, server, .. } => cloud.apply_firewall(lane, *firewall, *server).await?,
            Step::PowerOnServer { server, .. } => cloud.power_on(lane, *server).await?,
            Step::DetachVolume { volume, .. } => cloud.detach_volume(lane, *volume).await?,
            Step::RemoveLoadBalancerService { load_balancer, listen_port, .. } => {
                cloud.remove_load_balancer_service(lane, *load_balancer, *listen_port).await?
            }
            Step::DetachLoadBalancer { load_balancer, network, .. } => {
                cloud.detach_load_balancer(lane, *load_balancer, *network).await?
            }
            _ => return Ok(()),
        };
        self.accepted(step, accepted.actions, |facts| mark_changed(facts, step)).await;
        Ok(())
    }

    /// Puts what was made into the reading. A taken name is ours when its label says so: an earlier answer was lost.
    async fn keep<T: Identified + Send>(
        &self,
        made: Result<Accepted<T>, CloudError>,
        kind: ResourceKind,
        name: &str,
        step: &Step,
        list: fn(&mut CloudFacts) -> &mut Vec<T>,
    ) -> Result<(), Met> {
        match made {
            Ok(accepted) => {
                let Accepted { value, actions } = accepted;
                self.accepted(step, actions, |facts| {
                    // Another platform's reading may have brought it in already.
                    list(facts).retain(|known| known.id() != value.id());
                    list(facts).push(value);
                })
                .await;
                Ok(())
            }
            Err(CloudError::Taken { .. }) => {
                let owner = self.seams.project.cloud().owner_of(step.lane(), kind, name).await?;
                self.seams.project.distrust().await;
                match owner {
                    Some(owner) if self.platform.owns(&owner.labels) => Ok(()),
                    Some(owner) => {
                        let (kind, name) = (kind.words(), name.to_owned());
                        let kind = match self.platform.is_namesake(&owner.labels) {
                            true => SetbackKind::Namesake { kind, name },
                            false => SetbackKind::ForeignResource { kind, name },
                        };
                        Err(Met { distrust: true, ..Met::from_kind(kind) })
                    }
                    // The name is about to be released, or was just taken: the next lists tell.
                    None => {
                        let message = format!("the name {name} is taken, but nobody has it");
                        let kind = SetbackKind::Failed { reason: "NameTaken".to_owned(), message };
                        Err(Met { distrust: true, expected: true, ..Met::from_kind(kind) })
                    }
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A resource with Hetzner's id.
trait Identified {
    fn id(&self) -> u64;
}

macro_rules! identified {
    ($($kind:ty),*) => {$(
        impl Identified for $kind {
            fn id(&self) -> u64 {
                self.id
            }
        }
    )*};
}

identified!(Network, Firewall, SshKey, PlacementGroup, LoadBalancer, Server);

/// A server goes through a status of its own; everything else is gone at once.
fn mark_deleted(facts: &mut CloudFacts, kind: ResourceKind, id: u64) {
    match kind {
        ResourceKind::Server => {
            for server in facts.servers.iter_mut().filter(|server| server.id == id) {
                server.status = ServerStatus::Deleting;
            }
        }
        ResourceKind::LoadBalancer => {
            facts.load_balancers.retain(|resource| resource.id != id);
            facts.unlabelled.load_balancers.retain(|resource| resource.id != id);
        }
        ResourceKind::Volume => facts.volumes.retain(|resource| resource.id != id),
        ResourceKind::PlacementGroup => facts.placement_groups.retain(|resource| resource.id != id),
        ResourceKind::Firewall => facts.firewalls.retain(|resource| resource.id != id),
        ResourceKind::SshKey => facts.ssh_keys.retain(|resource| resource.id != id),
        ResourceKind::Network => facts.networks.retain(|resource| resource.id != id),
    }
}

/// What is let go of is no longer the platform's.
fn mark_released(facts: &mut CloudFacts, kind: ResourceKind, id: u64) {
    match kind {
        ResourceKind::Server => facts.servers.retain(|server| server.id != id),
        ResourceKind::LoadBalancer => {
            facts.unlabelled.load_balancers.extend(facts.load_balancers.extract_if(.., |it| it.id == id));
        }
        ResourceKind::Volume => facts.unlabelled.volumes.extend(facts.volumes.extract_if(.., |it| it.id == id)),
        ResourceKind::PlacementGroup | ResourceKind::Firewall | ResourceKind::SshKey | ResourceKind::Network => {
            mark_deleted(facts, kind, id);
        }
    }
}

/// What an accepted change will have made true.
fn mark_changed(facts: &mut CloudFacts, step: &Step) {
    let mut balancers = |id: u64, change: &dyn Fn(&mut LoadBalancer)| {
        facts.load_balancers.iter_mut().filter(|balancer| balancer.id == id).for_each(change);
    };
    match step {
        Step::AddSubnet { network, subnet, .. } => {
            facts.networks.iter_mut().filter(|n| n.id == *network).for_each(|n| n.subnets.push(*subnet));
        }
        Step::SetFirewallRules { firewall, rules, .. } => {
            facts.firewalls.iter_mut().filter(|f| f.id == *firewall).for_each(|f| f.rules.clone_from(rules));
        }
        Step::SetLoadBalancerService { load_balancer, service, .. } => balancers(*load_balancer, &|balancer| {
            balancer.services.retain(|existing| existing.listen_port != service.listen_port);
            balancer.services.push(service.clone());
        }),
        Step::SetLoadBalancerPublic { load_balancer, public, .. } => {
            balancers(*load_balancer, &|balancer| balancer.public = *public);
        }
        Step::AttachLoadBalancer { load_balancer, network, .. } => {
            balancers(*load_balancer, &|balancer| balancer.private = vec![PrivateNet { network: *network, ip: None }]);
        }
        Step::AddLoadBalancerTarget { load_balancer, server, .. } => balancers(*load_balancer, &|balancer| {
            balancer.targets.push(LoadBalancerTarget { server: *server, health: TargetHealth::Unknown });
        }),
        Step::RemoveLoadBalancerTarget { load_balancer, server, .. } => {
            balancers(*load_balancer, &|balancer| balancer.targets.retain(|target| target.server != *server));
        }
        Step::AttachServer { server, network, .. } => {
            let place = PrivateNet { network: *network, ip: None };
            facts.servers.iter_mut().filter(|s| s.id == *server).for_each(|s| s.private.push(place));
        }
        Step::ApplyFirewall { server, firewall, .. } => {
            facts.servers.iter_mut().filter(|s| s.id == *server).for_each(|s| s.firewalls.push(*firewall));
        }
        Step::DetachVolume { volume, .. } => {
            facts.volumes.iter_mut().filter(|it| it.id == *volume).for_each(|it| it.server = None);
        }
        Step::RemoveLoadBalancerService { load_balancer, listen_port, .. } => balancers(*load_balancer, &|balancer| {
            balancer.services.retain(|service| service.listen_port != *listen_port);
        }),
        Step::DetachLoadBalancer { load_balancer, network, .. } => balancers(*load_balancer, &|balancer| {
            balancer.private.retain(|place| place.network != *network);
        }),
        Step::PowerOnServer { server, .. } => {
            facts.servers.iter_mut().filter(|s| s.id == *server).for_each(|s| s.status = ServerStatus::Starting);
        }
        _ => {}
    }
}

//! The workload cluster's API, played on the nodes that the guests have registered.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use helix_engine::seams::{Workload, WorkloadError, WorkloadRoute};
use helix_plan::data_gate::{DataFacts, DatabaseInstances, VolumeCopies};
use helix_plan::names::MachineName;
use helix_plan::observed::{ClaimFacts, NodeFacts, NodeTaint, PodFacts, Readiness, ServiceFacts};
use helix_plan::step::NodePatch;
use jiff::Timestamp;

use super::secrets::{Shown, trusts};
use super::{Inner, Universe};
use crate::world::ServerId;
use crate::world::controllers::SERVICE_UID;
use crate::world::load_balancers::LoadBalancer;
use crate::world::machine::config::NodeTaint as GuestTaint;
use crate::world::machine::{Claim, ExposedService, Guest, Inside, Node, NodeCondition, Pod};

/// The port of the Kubernetes API.
const KUBERNETES_PORT: u16 = 6_443;

/// Where the modelled applications run.
const NAMESPACE: &str = "apps";

/// Name and namespace of the ingress.
const INGRESS: &str = "traefik";

/// A Service that is called as the ingress is, is the ingress.
fn namespace_of(service: &str) -> &str {
    if service == INGRESS { INGRESS } else { NAMESPACE }
}

fn silent(endpoint: &str) -> WorkloadError {
    WorkloadError::Unreachable { endpoint: endpoint.to_owned(), why: "connection refused".to_owned() }
}

impl Inner {
    /// The control plane whose API server answers at the route's endpoint: itself, or behind the load balancer.
    pub(super) fn api_server(&self, route: &WorkloadRoute) -> Result<ServerId, WorkloadError> {
        let endpoint = &route.endpoint;
        let host = endpoint.trim_start_matches("https://").split(':').next().unwrap_or_default();
        let address: Ipv4Addr = host.parse().map_err(|_| silent(endpoint))?;
        let candidates = match self.world.machine_at(address) {
            Some(machine) if self.may_call(machine, KUBERNETES_PORT) => vec![machine.server],
            Some(_) => Vec::new(),
            None => self.behind_balancer(address),
        };
        let serving =
            |server: &ServerId| self.world.guests().get(*server).filter(|guest| guest.api_server_healthy()).is_some();
        let server = candidates.into_iter().find(serving).ok_or_else(|| silent(endpoint))?;
        let guest = self.world.guests().get(server).ok_or_else(|| silent(endpoint))?;
        if !knows(guest, route, self.now) {
            let why = "x509: certificate signed by unknown authority".to_owned();
            return Err(WorkloadError::Unauthorized { endpoint: endpoint.clone(), why });
        }
        Ok(server)
    }

    fn behind_balancer(&self, address: Ipv4Addr) -> Vec<ServerId> {
        let project = self.world.project(self.project);
        let balancer = project.load_balancers.values().find(|it| it.address == address && it.public);
        let backends = balancer.map(|it| self.world.backends(self.project, it.id)).unwrap_or_default();
        backends.into_iter().map(|backend| backend.server).collect()
    }
}

/// Whether API server and caller take each other for genuine.
fn knows(guest: &Guest, route: &WorkloadRoute, now: Timestamp) -> bool {
    let Some(cluster) = guest.config().and_then(|config| config.cluster()) else { return false };
    let shown = Shown::read(&route.credentials.certificate_pem);
    trusts(&route.credentials.ca_pem, &cluster.ca.crt)
        && shown.is_some_and(|shown| shown.is_admitted_by(&cluster.known_authorities(), now))
}

fn facts(node: &Node) -> NodeFacts {
    NodeFacts {
        name: node.name.clone(),
        provider_id: node.provider_id.clone(),
        readiness: match node.condition {
            NodeCondition::Ready => Readiness::Ready,
            NodeCondition::NotReady => Readiness::NotReady { since: Some(node.since) },
            NodeCondition::Silent => Readiness::Silent { since: Some(node.since) },
        },
        unschedulable: node.unschedulable,
        mark: node.annotations.get(helix_crds::labels::DISRUPTION).and_then(|text| text.parse().ok()),
        labels: node.labels.clone(),
        control_plane: node.annotations.get(helix_crds::labels::CONTROL_PLANE).and_then(|text| text.parse().ok()),
        config_digest: node.annotations.get(helix_crds::labels::CONFIG).cloned(),
        owned: node.annotations.get(helix_crds::labels::OWNED).and_then(|text| text.parse().ok()).unwrap_or_default(),
        taints: node
            .taints
            .iter()
            .map(|t| NodeTaint { key: t.key.clone(), value: t.value.clone(), effect: t.effect.clone() })
            .collect(),
        kubelet_version: node.kubelet_version.clone(),
        internal_ip: node.internal_ip,
    }
}

impl Universe {
    /// An object that a controller looks after begins to leave.
    async fn leave(
        &self,
        route: &WorkloadRoute,
        name: &'static str,
        begin: impl FnOnce(&mut Inside, Timestamp),
    ) -> Result<(), WorkloadError> {
        self.tell(name, |inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            if let Some(inside) = inner.world.guests_mut(now).inside_at_mut(server) {
                begin(inside, now);
            }
            inner.world.wake_controllers();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Workload for Universe {
    async fn nodes(&self, route: &WorkloadRoute) -> Result<Vec<NodeFacts>, WorkloadError> {
        self.ask("nodes", |inner| {
            let server = inner.api_server(route)?;
            let nodes = inner.world.guests().nodes_at(server);
            Ok(nodes.map(|nodes| nodes.values().map(facts).collect()).unwrap_or_default())
        })
        .await
    }

    async fn pods_on(&self, route: &WorkloadRoute, node: &MachineName) -> Result<Vec<PodFacts>, WorkloadError> {
        self.ask("pods on", |inner| {
            let server = inner.api_server(route)?;
            let name = node.to_string();
            let pods = inner.world.guests().pods_at(server).into_iter().flatten();
            let here = pods.filter(|(_, pod)| pod.node.as_ref() == Some(&name));
            let facts = |(name, pod): (&String, &Pod)| PodFacts {
                namespace: NAMESPACE.to_owned(),
                name: name.clone(),
                leaving: pod.ends_at.is_some(),
            };
            Ok(here.map(facts).collect())
        })
        .await
    }

    async fn data(&self, route: &WorkloadRoute) -> Result<DataFacts, WorkloadError> {
        self.ask("data", |inner| {
            let server = inner.api_server(route)?;
            let inside = inner.world.guests().inside_at(server).cloned().unwrap_or_default();
            let mut facts = DataFacts::default();
            for (name, it) in inside.volumes {
                if name.contains('/') {
                    let (wanted, ready_on) = (it.wanted, it.healthy_on);
                    let primary_on = ready_on.first().cloned();
                    facts.databases.push(DatabaseInstances { name, wanted, primary_on, ready_on });
                } else {
                    let robustness = if it.is_whole() { "healthy" } else { "degraded" }.to_owned();
                    let (wanted, healthy_on) = (it.wanted, it.healthy_on);
                    facts.volumes.push(VolumeCopies { name, wanted, robustness, healthy_on });
                }
            }
            Ok(facts)
        })
        .await
    }

    async fn services(&self, route: &WorkloadRoute) -> Result<Vec<ServiceFacts>, WorkloadError> {
        self.ask("services", |inner| {
            let server = inner.api_server(route)?;
            let inside = inner.world.guests().inside_at(server).cloned().unwrap_or_default();
            let balancers = &inner.world.project(inner.project).load_balancers;
            let made_for = |uid: &String| {
                let of_it = |balancer: &&LoadBalancer| balancer.meta.labels.get(SERVICE_UID) == Some(uid);
                balancers.values().filter(of_it).map(|balancer| balancer.address).collect()
            };
            let facts = |(name, it): (String, ExposedService)| ServiceFacts {
                namespace: namespace_of(&name).to_owned(),
                addresses: made_for(&it.uid),
                name,
                uid: it.uid,
                leaving: it.leaving,
            };
            Ok(inside.services.into_iter().map(facts).collect())
        })
        .await
    }

    async fn claims(&self, route: &WorkloadRoute) -> Result<Vec<ClaimFacts>, WorkloadError> {
        self.ask("claims", |inner| {
            let server = inner.api_server(route)?;
            let inside = inner.world.guests().inside_at(server).cloned().unwrap_or_default();
            let facts = |(name, it): (String, Claim)| ClaimFacts {
                namespace: NAMESPACE.to_owned(),
                name,
                uid: it.uid,
                leaving: it.leaving,
            };
            Ok(inside.claims.into_iter().map(facts).collect())
        })
        .await
    }

    async fn delete_service(&self, route: &WorkloadRoute, service: &ServiceFacts) -> Result<(), WorkloadError> {
        self.leave(route, "delete service", |inside, now| {
            let found = inside.services.get_mut(&service.name).filter(|it| it.uid == service.uid);
            found.map(|it| it.leaving.get_or_insert(now));
        })
        .await
    }

    async fn delete_claim(&self, route: &WorkloadRoute, claim: &ClaimFacts) -> Result<(), WorkloadError> {
        self.leave(route, "delete claim", |inside, now| {
            let found = inside.claims.get_mut(&claim.name).filter(|it| it.uid == claim.uid);
            found.map(|it| it.leaving.get_or_insert(now));
        })
        .await
    }

    async fn evict(&self, route: &WorkloadRoute, pod: &PodFacts) -> Result<(), WorkloadError> {
        self.tell("evict", |inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            let evicted = inner.world.guests_mut(now).evict(server, &pod.name, now);
            let name = || format!("{}/{}", pod.namespace, pod.name);
            evicted.map_err(|why| WorkloadError::EvictionRefused { pod: name(), why })
        })
        .await
    }

    async fn patch_node(
        &self,
        route: &WorkloadRoute,
        node: &MachineName,
        patch: &NodePatch,
    ) -> Result<(), WorkloadError> {
        self.tell("patch node", |inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            let nodes = inner.world.guests_mut(now).nodes_at_mut(server);
            let Some(found) = nodes.and_then(|nodes| nodes.get_mut(&node.to_string())) else {
                let (endpoint, why) = (route.endpoint.clone(), "not found".to_owned());
                return Err(WorkloadError::Other { endpoint, code: 404, why });
            };
            found.labels.retain(|key, _| !patch.remove_labels.contains(key));
            found.labels.extend(patch.labels.clone());
            for (key, value) in &patch.annotations {
                match value {
                    Some(value) => drop(found.annotations.insert(key.clone(), value.clone())),
                    None => drop(found.annotations.remove(key)),
                }
            }
            found.unschedulable = patch.unschedulable.unwrap_or(found.unschedulable);
            if let Some(taints) = &patch.taints {
                let taint =
                    |t: &NodeTaint| GuestTaint { key: t.key.clone(), value: t.value.clone(), effect: t.effect.clone() };
                found.taints = taints.iter().map(taint).collect();
            }
            Ok(())
        })
        .await
    }

    async fn delete_node(&self, route: &WorkloadRoute, node: &MachineName) -> Result<(), WorkloadError> {
        self.tell("delete node", |inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            if let Some(nodes) = inner.world.guests_mut(now).nodes_at_mut(server) {
                nodes.remove(&node.to_string());
            }
            Ok(())
        })
        .await
    }
}

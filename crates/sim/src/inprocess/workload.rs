//! The workload cluster's API, played on the nodes that the guests have registered.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_engine::seams::{Workload, WorkloadError, WorkloadRoute};
use helix_plan::names::MachineName;
use helix_plan::observed::{NodeFacts, NodeTaint};
use helix_plan::step::NodePatch;

use super::{Inner, Universe};
use crate::world::ServerId;
use crate::world::machine::config::NodeTaint as GuestTaint;
use crate::world::machine::{Guest, Node};

fn silent(endpoint: &str) -> WorkloadError {
    WorkloadError::Unreachable { endpoint: endpoint.to_owned(), why: "connection refused".to_owned() }
}

impl Inner {
    /// The control plane whose API server answers at the route's endpoint: itself, or behind the load balancer.
    fn api_server(&self, route: &WorkloadRoute) -> Result<ServerId, WorkloadError> {
        let endpoint = &route.endpoint;
        let host = endpoint.trim_start_matches("https://").split(':').next().unwrap_or_default();
        let address: Ipv4Addr = host.parse().map_err(|_| silent(endpoint))?;
        let candidates = match self.world.machine_at(address) {
            Some(machine) => vec![machine.server],
            None => self.behind_balancer(address),
        };
        let serving =
            |server: &ServerId| self.world.guests().get(*server).filter(|guest| guest.api_server_healthy()).is_some();
        let server = candidates.into_iter().find(serving).ok_or_else(|| silent(endpoint))?;
        let guest = self.world.guests().get(server).ok_or_else(|| silent(endpoint))?;
        if !knows(guest, route) {
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

fn knows(guest: &Guest, route: &WorkloadRoute) -> bool {
    let theirs = guest.config().and_then(|config| config.cluster()).map(|cluster| cluster.ca.crt.clone());
    theirs == Some(STANDARD.encode(&route.credentials.ca_pem))
}

fn facts(node: &Node) -> NodeFacts {
    NodeFacts {
        name: node.name.clone(),
        provider_id: node.provider_id.clone(),
        ready: node.ready,
        labels: node.labels.clone(),
        config_digest: node.annotations.get(helix_crds::labels::CONFIG).cloned(),
        taints: node
            .taints
            .iter()
            .map(|t| NodeTaint { key: t.key.clone(), value: t.value.clone(), effect: t.effect.clone() })
            .collect(),
        kubelet_version: node.kubelet_version.clone(),
        internal_ip: node.internal_ip,
    }
}

#[async_trait]
impl Workload for Universe {
    async fn nodes(&self, route: &WorkloadRoute) -> Result<Vec<NodeFacts>, WorkloadError> {
        self.call(|inner| {
            let server = inner.api_server(route)?;
            let nodes = inner.world.guests().nodes_at(server);
            Ok(nodes.map(|nodes| nodes.values().map(facts).collect()).unwrap_or_default())
        })
        .await
    }

    async fn patch_node(
        &self,
        route: &WorkloadRoute,
        node: &MachineName,
        patch: &NodePatch,
    ) -> Result<(), WorkloadError> {
        self.call(|inner| {
            let server = inner.api_server(route)?;
            let now = inner.now;
            let nodes = inner.world.guests_mut(now).nodes_at_mut(server);
            let Some(found) = nodes.and_then(|nodes| nodes.get_mut(&node.to_string())) else {
                let (endpoint, why) = (route.endpoint.clone(), "not found".to_owned());
                return Err(WorkloadError::Other { endpoint, code: 404, why });
            };
            found.labels.retain(|key, _| !patch.remove_labels.contains(key));
            found.labels.extend(patch.labels.clone());
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
        self.call(|inner| {
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

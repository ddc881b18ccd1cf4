//! What the cluster runs besides Kubernetes, by the workloads that stand for it: without the Cilium DaemonSet no node is
//! ready, and the cloud controller manager, where one is installed, does what Hetzner's does for new nodes and for Services.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Setting;
use super::api::{Api, ApiError, Body};
use super::control_plane::admin;
use super::files::Site;
use super::services;
use crate::talos::machines::cluster_of;
use crate::world::ServerId;
use crate::world::machine::Guest;
use crate::world::machine::config::Cluster;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
const CILIUM: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";
/// Its chart makes it one or the other.
const CLOUD_CONTROLLER: [&str; 2] = [
    "/apis/apps/v1/namespaces/kube-system/deployments/hcloud-cloud-controller-manager",
    "/apis/apps/v1/namespaces/kube-system/daemonsets/hcloud-cloud-controller-manager",
];
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// Looks for them through the API server of one control plane, for all machines of its cluster.
pub(super) async fn watch(setting: Setting, server: ServerId, site: Site) {
    loop {
        let serves = setting.machines.look_at(server, |guest, _| guest.api_server_healthy()).unwrap_or_default();
        if serves
            && let Ok(api) = admin(&site, &site)
            && let Err(error) = look(&setting, server, &api).await
        {
            tracing::debug!(%error, "looking for the cluster's add-ons");
        }
        sleep(INTERVAL).await;
    }
}

async fn look(setting: &Setting, server: ServerId, api: &Api) -> Result<(), ApiError> {
    tell_pod_network(setting, server, exists(api, CILIUM).await?);
    for path in CLOUD_CONTROLLER {
        if exists(api, path).await? {
            initialize_nodes(setting, server, api).await?;
            return services::balance(setting, server, api).await;
        }
    }
    Ok(())
}

async fn exists(api: &Api, path: &str) -> Result<bool, ApiError> {
    match api.call(Method::GET, path, Body::Empty).await {
        Ok(_) => Ok(true),
        Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether machines belong together: both know the authority by which the other is known at the Kubernetes API.
fn are_together(one: &Guest, other: &Guest) -> bool {
    let knows = |own: &Cluster, other: &Cluster| own.known_authorities().contains(&other.ca.crt);
    cluster_of(one).zip(cluster_of(other)).is_some_and(|(one, other)| knows(&one, &other) && knows(&other, &one))
}

fn tell_pod_network(setting: &Setting, server: ServerId, works: bool) {
    setting.machines.ask(|guests, now| {
        let Some(own) = guests.get(server) else { return };
        let others: Vec<ServerId> = guests
            .iter()
            .filter(|guest| are_together(own, guest) && guest.node_ready() != works)
            .map(|guest| guest.host().server)
            .collect();
        for other in others {
            guests.report_node_ready(other, works, now);
        }
    });
}

/// Gives new nodes their provider id and server type, and takes the taint of those that nobody has initialized.
async fn initialize_nodes(setting: &Setting, server: ServerId, api: &Api) -> Result<(), ApiError> {
    let nodes = api.call(Method::GET, "/api/v1/nodes", Body::Empty).await?;
    for node in nodes.get("items").and_then(Value::as_array).into_iter().flatten() {
        let taints = node.pointer("/spec/taints").and_then(Value::as_array).cloned().unwrap_or_default();
        let (new, others): (Vec<_>, Vec<_>) = taints.into_iter().partition(|taint| taint["key"] == UNINITIALIZED);
        let name = node.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let Some((id, address)) = machine_of(setting, server, name).filter(|_| !new.is_empty()) else { continue };
        let provider_id = node.pointer("/spec/providerID").cloned().unwrap_or_else(|| json!(format!("hcloud://{id}")));
        let mut labels = json!({});
        if let Some(kind) = setting.machines.server_type(address) {
            labels["node.kubernetes.io/instance-type"] = json!(kind.name);
        }
        let patch = json!({
            // Whoever changes taints at the same time makes this a conflict, and it is done again.
            "metadata": {"resourceVersion": node.pointer("/metadata/resourceVersion"), "labels": labels},
            "spec": {"providerID": provider_id, "taints": others},
        });
        match api.call(Method::PATCH, &format!("/api/v1/nodes/{name}"), Body::Merge(&patch)).await {
            Err(error) if !error.is(StatusCode::CONFLICT) && !error.is(StatusCode::NOT_FOUND) => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The machines of the same cluster.
pub(super) fn machines_of(setting: &Setting, server: ServerId) -> Vec<ServerId> {
    setting.machines.look(|guests, _| {
        let Some(own) = guests.get(server) else { return Vec::new() };
        let same = guests.iter().filter(|guest| are_together(own, guest));
        same.map(|guest| guest.host().server).collect()
    })
}

/// The server of the node of this name in the same cluster, and its address.
pub(super) fn machine_of(setting: &Setting, server: ServerId, name: &str) -> Option<(ServerId, std::net::Ipv4Addr)> {
    setting.machines.look(|guests, _| {
        let own = guests.get(server)?;
        let found = guests.iter().find(|guest| guest.hostname() == name && are_together(own, guest))?;
        Some((found.host().server, found.host().address))
    })
}

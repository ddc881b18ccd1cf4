//! Whether the cluster has a pod network, for which the Cilium DaemonSet stands: without one, no node is ready.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::sleep;

use super::Setting;
use super::api::Body;
use super::control_plane::admin;
use super::files::Site;
use crate::talos::machines::cluster_of;
use crate::world::ServerId;
use crate::world::machine::Guest;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
const CILIUM: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets/cilium";

/// Looks for it through the API server of one control plane, and tells all machines of its cluster.
pub(super) async fn watch(setting: Setting, server: ServerId, site: Site) {
    loop {
        let serves = setting.machines.look_at(server, |guest, _| guest.api_server_healthy()).unwrap_or_default();
        if serves && let Ok(api) = admin(&site, &site) {
            match api.call(Method::GET, CILIUM, Body::Empty).await {
                Ok(_) => tell(&setting, server, true),
                Err(error) if error.is(StatusCode::NOT_FOUND) => tell(&setting, server, false),
                Err(error) => tracing::debug!(%error, "looking for the pod network"),
            }
        }
        sleep(INTERVAL).await;
    }
}

fn tell(setting: &Setting, server: ServerId, ready: bool) {
    setting.machines.ask(|guests, now| {
        let authority = |guest: &Guest| cluster_of(guest).map(|cluster| cluster.ca.crt.clone());
        let Some(own) = guests.get(server).and_then(authority) else { return };
        let others: Vec<ServerId> = guests
            .iter()
            .filter(|guest| authority(guest).as_ref() == Some(&own) && guest.node_ready() != ready)
            .map(|guest| guest.host().server)
            .collect();
        for other in others {
            guests.report_node_ready(other, ready, now);
        }
    });
}

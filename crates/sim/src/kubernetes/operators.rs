//! What the operators of components do, for the custom resources that are in the cluster: each acts when, and only when,
//! its own Deployment is available, and moves what it looks after towards health as the real one would.
//!
//! They look every few seconds, through the API server of one control plane, and remember nothing that is not in the
//! cluster or in the world. One operator's trouble keeps no other from its work. What is left out stands in the README.

mod cert_manager;
mod cilium;
mod claims;
mod cloudnative_pg;
mod hcloud_csi;
mod instances;
mod longhorn;
mod netbird;
mod objects;
mod prometheus;
mod redis;
mod scene;

use std::time::Duration;

use tokio::time::sleep;

use self::scene::Scene;
use super::Setting;
use super::api::{Api, ApiError};
use super::control_plane::admin;
use super::files::Site;
use crate::talos::pki::PkiError;
use crate::world::ServerId;
use crate::world::machine::Guest;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// Why an operator does not get on; it looks again.
#[derive(Debug, thiserror::Error)]
enum OperatorError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// Lets the operators look, through the API server of this control plane, as long as it is the first of its cluster's.
pub(super) async fn watch(setting: Setting, server: ServerId, site: Site) {
    loop {
        sleep(INTERVAL).await;
        let serving = setting.machines.control_planes(server, Guest::api_server_healthy);
        if serving.first().is_none_or(|first| first.server != server) {
            continue;
        }
        if let Ok(api) = admin(&site, &site)
            && let Err(error) = look(&setting, server, &api).await
        {
            tracing::debug!(%error, "operators look for their Deployments");
        }
    }
}

async fn look(setting: &Setting, server: ServerId, api: &Api) -> Result<(), ApiError> {
    let scene = Scene::of(setting, server, api).await?;
    let looks = [
        ("cilium", cilium::look(&scene).await),
        ("cert-manager", cert_manager::look(&scene).await),
        ("hcloud-csi", hcloud_csi::look(&scene).await),
        ("longhorn", longhorn::look(&scene).await),
        ("cloudnative-pg", cloudnative_pg::look(&scene).await),
        ("redis-operator", redis::look(&scene).await),
        ("prometheus-operator", prometheus::look(&scene).await),
        ("netbird-operator", netbird::look(&scene).await),
    ];
    for (operator, looked) in looks {
        if let Err(error) = looked {
            tracing::debug!(operator, %error, "an operator does not get on");
        }
    }
    Ok(())
}

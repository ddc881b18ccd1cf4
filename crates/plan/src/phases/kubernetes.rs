//! Which Kubernetes the machines are to run now, on the way to the wanted one.
//!
//! An upgrade goes part by part, so that nothing is ever newer than what it talks to: all API servers, then all controller
//! managers and schedulers (they reach any API server), then the kubelets. How far it has come is read from the nodes. It
//! begins when every machine runs the wanted Talos.

use semver::Version;

use super::Context;
use crate::observed::{NodeFacts, TalosFacts};
use crate::render::machine_config::KubernetesVersions;
use crate::versions::{UpgradeRefusal, kubernetes_upgrade_path, talos_upgrade_path};

/// How far the way to the wanted Kubernetes is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// What machines are to run now.
    pub(crate) wanted: KubernetesVersions,
    /// Why the wanted version cannot be had.
    pub(crate) refusal: Option<UpgradeRefusal>,
}

impl Stage {
    /// Everything as wanted.
    pub(super) fn all(version: &Version) -> Self {
        Self { wanted: KubernetesVersions::all(version), refusal: None }
    }

    pub(super) fn of(context: &Context<'_>) -> Self {
        let target = &context.platform.versions.kubernetes;
        let nodes = || context.known.iter().filter_map(|known| known.node);
        let kubelets = nodes().filter_map(kubelet);
        let parts = nodes().filter_map(|node| node.control_plane.as_ref());
        let lowest = kubelets.chain(parts.flat_map(|it| [it.api_server.clone(), it.controllers.clone()])).min();
        let Some(running) = lowest.filter(|lowest| lowest != target) else { return Self::all(target) };
        if let Err(refusal) = kubernetes_upgrade_path(&running, target) {
            return Self { wanted: KubernetesVersions::all(&running), refusal: Some(refusal) };
        }
        let every = |is: fn(&crate::observed::ControlPlaneVersions) -> &Version| {
            nodes().filter_map(|node| node.control_plane.as_ref()).all(|versions| is(versions) == target)
        };
        let api_servers = every(|versions| &versions.api_server);
        let controllers = api_servers && every(|versions| &versions.controllers);
        let pick = |moved: bool| if moved { target.clone() } else { running.clone() };
        let wanted = KubernetesVersions {
            api_server: pick(every_talos_is_wanted(context)),
            controllers: pick(api_servers),
            kubelet: pick(controllers),
        };
        Self { wanted, refusal: None }
    }
}

/// Whether the way is open from a machine's Talos, as in `v1.13.9`, to the wanted one. What cannot be read is left to
/// Talos' own installer.
pub(super) fn talos_path(context: &Context<'_>, running: &str) -> Result<(), UpgradeRefusal> {
    match version(running) {
        Some(running) => talos_upgrade_path(&running, &context.platform.versions.talos),
        None => Ok(()),
    }
}

fn every_talos_is_wanted(context: &Context<'_>) -> bool {
    context.known.iter().all(|known| match known.talos {
        Some(TalosFacts::Configured { version, .. }) => *version == context.talos,
        Some(TalosFacts::Maintenance { .. }) | None => true,
    })
}

fn kubelet(node: &NodeFacts) -> Option<Version> {
    version(&node.kubelet_version)
}

fn version(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

//! What the store's Secrets are called and which keys they have: what a user's `kubectl` and a restore rely on.

use helix_crds::labels;
use helix_engine::seams::ClientConfigKind;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::Tags;

/// Key of the bundle, as `talosctl gen secrets` names the file.
pub(super) const BUNDLE_KEY: &str = "secrets.yaml";
/// Key of the bootstrap record.
pub(super) const BOOTSTRAP_KEY: &str = "bootstrap.json";
/// Key of the restore record.
pub(super) const RESTORE_KEY: &str = "restore.json";
/// Key of a rotation of authorities.
pub(super) const ROTATION_KEY: &str = "rotation.json";
/// Key of a client configuration, as Cluster API has it: tools that look for a cluster's kubeconfig look there.
pub(super) const CLIENT_CONFIG_KEY: &str = "value";
/// Key of what may be known of a client configuration.
pub(super) const FACTS_KEY: &str = "facts.json";

pub(super) fn bundle(platform: &PlatformIdentity) -> String {
    format!("{}-secrets", platform.name)
}

pub(super) fn bootstrap(platform: &PlatformIdentity) -> String {
    format!("{}-bootstrap", platform.name)
}

pub(super) fn restore(platform: &PlatformIdentity) -> String {
    format!("{}-restore", platform.name)
}

pub(super) fn rotation(platform: &PlatformIdentity) -> String {
    format!("{}-rotation", platform.name)
}

pub(super) fn client_config(platform: &PlatformIdentity, kind: ClientConfigKind) -> String {
    let what = match kind {
        ClientConfigKind::Kubeconfig => "kubeconfig",
        ClientConfigKind::Talosconfig => "talosconfig",
    };
    format!("{}-{what}", platform.name)
}

/// The receipt's ConfigMap.
pub(super) fn receipt(platform: &PlatformIdentity) -> String {
    format!("{}-receipt", platform.name)
}

/// Labels of everything in the store.
pub(super) fn owner_labels(platform: &PlatformIdentity) -> Tags {
    Tags::from([
        (labels::PLATFORM_UID.to_owned(), platform.uid.clone()),
        (labels::PLATFORM.to_owned(), platform.name.clone()),
    ])
}

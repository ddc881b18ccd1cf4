//! The finalizer `helix.dev/teardown`: there before anything is made at the provider, gone after everything is.
//!
//! Both changes replace the list of the very platform that was read (by its resource version), so that no finalizer of
//! anybody else is lost.

use helix_crds::HelixPlatform;
use helix_crds::labels::{FIELD_MANAGER, TEARDOWN_FINALIZER};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::error::{CallError, call};

/// Whether the platform has it.
pub(crate) fn is_set(platform: &HelixPlatform) -> bool {
    platform.finalizers().iter().any(|finalizer| finalizer == TEARDOWN_FINALIZER)
}

/// Adds it, and answers with the platform as it then is.
pub(crate) async fn add(api: &Api<HelixPlatform>, platform: &HelixPlatform) -> Result<HelixPlatform, CallError> {
    let mut finalizers = platform.finalizers().to_vec();
    finalizers.push(TEARDOWN_FINALIZER.to_owned());
    replace("add the finalizer", api, platform, &finalizers).await
}

/// Removes it: where it was the last one, the platform is gone then.
pub(crate) async fn remove(api: &Api<HelixPlatform>, platform: &HelixPlatform) -> Result<(), CallError> {
    let mut finalizers = platform.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != TEARDOWN_FINALIZER);
    replace("remove the finalizer", api, platform, &finalizers).await.map(drop)
}

async fn replace(
    what: &'static str,
    api: &Api<HelixPlatform>,
    platform: &HelixPlatform,
    finalizers: &[String],
) -> Result<HelixPlatform, CallError> {
    let patch = json!({"metadata": {"resourceVersion": platform.metadata.resource_version, "finalizers": finalizers}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    call(what, api.patch(&platform.name_any(), &params, &Patch::Merge(&patch))).await
}

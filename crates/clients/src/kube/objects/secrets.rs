//! The Secrets of a cluster that components need. No value is in an error: the API server's own words are left out where
//! they could quote what was sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use helix_crds::labels::COMPONENT;
use helix_engine::seams::{SecretData, WorkloadError};
use helix_plan::components::Component;
use helix_plan::secrets::Secret;
use serde_json::json;

use super::cluster::{Cluster, ours};

impl Cluster {
    /// A Secret's keys. One whose value is no text is left out, for nothing that Helix copies or makes is like that.
    pub(super) async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretData>, WorkloadError> {
        let kind = self.known_kind("v1", "Secret").await?;
        let Some(found) = self.get(&kind, Some(namespace), name).await? else { return Ok(None) };
        let read = |value: &serde_json::Value| String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok();
        let data = found["data"].as_object().into_iter().flatten();
        Ok(Some(data.filter_map(|(key, value)| Some((key.clone(), Secret::new(read(value)?)))).collect()))
    }

    pub(super) async fn put_secret(
        &self,
        component: Component,
        namespace: &str,
        name: &str,
        data: &SecretData,
    ) -> Result<(), WorkloadError> {
        let encoded: BTreeMap<&String, String> =
            data.iter().map(|(key, value)| (key, STANDARD.encode(value.expose()))).collect();
        let labels = json!({"app.kubernetes.io/managed-by": "helix", COMPONENT: component.name()});
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "data": encoded,
        });
        self.apply_own(&object, &ours()).await.map_err(|error| silent(error, &format!("Secret {namespace}/{name}")))
    }
}

/// Without the API server's words about a Secret that it does not take.
fn silent(error: WorkloadError, secret: &str) -> WorkloadError {
    match error {
        WorkloadError::Other { endpoint, code: code @ (400 | 422), why: _ } => {
            WorkloadError::Other { endpoint, code, why: format!("{secret} is not accepted as it would be written") }
        }
        WorkloadError::Other { endpoint, code: 404, why: _ } => {
            WorkloadError::Other { endpoint, code: 404, why: format!("there is no namespace for {secret} yet") }
        }
        other => other,
    }
}

//! What Argo CD tells of its Applications, read from the workload cluster.

use std::collections::BTreeMap;

use async_trait::async_trait;
use helix_engine::seams::{Applications, WorkloadError, WorkloadRoute};
use helix_plan::observed::Application;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::failure::{absent_is_none, bounded};
use super::workload::{WorkloadClients, workload_error};

/// Where Argo CD is.
const NAMESPACE: &str = "argocd";
/// What makes Argo CD look at the repository; it takes the annotation off itself.
const REFRESH: &str = "argocd.argoproj.io/refresh";
/// More than the catalogue has, with room for the user's.
const MOST: u32 = 500;

#[async_trait]
impl Applications for WorkloadClients {
    async fn applications(
        &self,
        route: &WorkloadRoute,
    ) -> Result<Option<BTreeMap<String, Application>>, WorkloadError> {
        let api = applications_api(self, route)?;
        let listed = bounded(api.list(&ListParams::default().limit(MOST))).await;
        let Some(list) = absent_is_none(listed).map_err(|failure| workload_error(failure, route))? else {
            return Ok(None);
        };
        let told = list.items.into_iter().filter_map(|item| Some((item.metadata.name?, facts(&item.data))));
        Ok(Some(told.collect()))
    }

    async fn refresh(&self, route: &WorkloadRoute) -> Result<(), WorkloadError> {
        let api = applications_api(self, route)?;
        let annotation = Patch::Merge(json!({"metadata": {"annotations": {REFRESH: "normal"}}}));
        for name in self.applications(route).await?.unwrap_or_default().into_keys() {
            let patched = bounded(api.patch(&name, &PatchParams::default(), &annotation)).await;
            absent_is_none(patched).map_err(|failure| workload_error(failure, route))?;
        }
        Ok(())
    }
}

fn applications_api(clients: &WorkloadClients, route: &WorkloadRoute) -> Result<Api<DynamicObject>, WorkloadError> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application"));
    Ok(Api::namespaced_with(clients.client(route)?, NAMESPACE, &kind))
}

fn facts(application: &Value) -> Application {
    let text =
        |pointer: &str| application.pointer(pointer).and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
    Application {
        sync: text("/status/sync/status"),
        health: text("/status/health/status"),
        revision: text("/status/sync/revision"),
        problem: problem(application),
    }
}

/// What a condition of an error says, or else a sync that did not succeed.
fn problem(application: &Value) -> String {
    let conditions = application.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let error = |condition: &&Value| condition["type"].as_str().is_some_and(|kind| kind.ends_with("Error"));
    let told = conditions.filter(error).find_map(|condition| condition["message"].as_str());
    let operation = &application["status"]["operationState"];
    let failed = matches!(operation["phase"].as_str(), Some("Failed" | "Error"));
    let synced = application.pointer("/status/sync/status").is_some_and(|status| status == "Synced");
    let told = told.or_else(|| operation["message"].as_str().filter(|_| failed && !synced));
    told.unwrap_or_default().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_told_with_what_stands_in_its_way() {
        let synced = json!({"status": {
            "sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"},
            "operationState": {"phase": "Succeeded", "message": "successfully synced"},
        }});
        let expected = Application {
            sync: "Synced".to_owned(),
            health: "Healthy".to_owned(),
            revision: "abc".to_owned(),
            problem: String::new(),
        };
        assert_eq!(facts(&synced), expected);
        let refused = json!({"status": {
            "sync": {"status": "Unknown"},
            "conditions": [{"type": "OrphanedResourceWarning", "message": "x"},
                           {"type": "ComparisonError", "message": "authentication required"}],
        }});
        assert_eq!(facts(&refused).problem, "authentication required");
        let failed = json!({"status": {
            "sync": {"status": "OutOfSync"}, "operationState": {"phase": "Failed", "message": "no such kind"},
        }});
        assert_eq!(facts(&failed).problem, "no such kind");
        assert_eq!(facts(&json!({})), Application::default());
    }
}

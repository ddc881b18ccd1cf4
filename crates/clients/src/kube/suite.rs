//! What badges and the status page tell of a cluster: Argo CD's Applications, PostgreSQL clusters, Longhorn's volumes, and
//! the warnings among a namespace's events. Only read, and what the cluster does not know is told as such.

use helix_plan::badges::{Application, Deployment, Incident, Volume};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use super::failure::{Failure, absent_is_none, bounded};
use super::workload::pages;

/// What CloudNativePG says of a cluster that is well.
const HEALTHY: &str = "Cluster in healthy state";

/// All of a kind; `None` where the cluster does not know the kind, or why it does not tell.
pub type Seen<T> = Result<Option<Vec<T>>, String>;

/// What a platform's cluster tells.
#[derive(Clone, Debug)]
pub struct SuiteFacts {
    /// Argo CD's Applications.
    pub applications: Seen<Application>,
    /// PostgreSQL clusters, each with whether it is well.
    pub databases: Seen<bool>,
    /// Longhorn's volumes.
    pub volumes: Seen<Volume>,
}

/// A client of the cluster that a kubeconfig leads to; its proxy is the environment's. Sends nothing.
///
/// # Errors
/// A text that names what is wrong with the kubeconfig, and holds none of it.
pub async fn client_of(kubeconfig: &str) -> Result<Client, String> {
    // kube takes the process-wide provider. Whoever was first has set it; any one will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The parser quotes what it does not understand, and that may be a key.
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).map_err(|_| "it is no kubeconfig".to_owned())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|_| "it lacks a context, a cluster or a user".to_owned())?;
    config.default_retry = false;
    Client::try_from(config).map_err(|error| Failure::of(&error).why())
}

/// Looks at all of it at once.
pub async fn suite(client: &Client) -> SuiteFacts {
    let (applications, databases, volumes) = futures::join!(
        objects(client, ("argoproj.io", "v1alpha1", "Application", "applications")),
        objects(client, ("postgresql.cnpg.io", "v1", "Cluster", "clusters")),
        objects(client, ("longhorn.io", "v1beta2", "Volume", "volumes")),
    );
    SuiteFacts {
        applications: all(applications, application),
        databases: all(databases, is_well),
        volumes: all(volumes, volume),
    }
}

type Kind = (&'static str, &'static str, &'static str, &'static str);

async fn objects(client: &Client, (group, version, kind, plural): Kind) -> Seen<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let listed = absent_is_none(pages(&api, &ListParams::default()).await);
    listed.map_err(|failure| format!("the platform's API server does not tell of {plural}: {}", failure.why()))
}

fn all<T>(seen: Seen<DynamicObject>, read: fn(&Value) -> T) -> Seen<T> {
    Ok(seen?.map(|objects| objects.iter().map(|object| read(&object.data)).collect()))
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn application(object: &Value) -> Application {
    let history = object.pointer("/status/history").and_then(Value::as_array).into_iter().flatten();
    let deployment = |entry: &Value| {
        // One of several sources has several revisions.
        let revisions = entry["revisions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let revision = entry["revision"].as_str().map(str::to_owned).filter(|revision| !revision.is_empty());
        let revision = revision.unwrap_or_else(|| revisions.collect::<Vec<_>>().join(" "));
        Some(Deployment { revision, at: entry["deployedAt"].as_str()?.parse().ok()? })
    };
    let mut history: Vec<Deployment> = history.filter_map(deployment).collect();
    history.sort_by_key(|deployment| deployment.at);
    Application {
        is_synced: text(object, "/status/sync/status") == "Synced",
        is_automated: object.pointer("/spec/syncPolicy/automated").is_some_and(Value::is_object),
        history,
    }
}

fn is_well(cluster: &Value) -> bool {
    let number = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_u64);
    let all_ready = number("/status/readyInstances") == Some(number("/spec/instances").unwrap_or(1));
    text(cluster, "/status/phase") == HEALTHY && all_ready
}

fn volume(object: &Value) -> Volume {
    Volume {
        is_attached: text(object, "/status/state") == "attached",
        robustness: text(object, "/status/robustness").to_owned(),
    }
}

/// The warnings that a namespace's events hold of a platform and its machines.
///
/// # Errors
/// A text that says why they cannot be read.
pub async fn warnings(client: &Client, namespace: &str, platform: &str) -> Result<Vec<Incident>, String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let events = bounded(api.list(&ListParams::default().fields("type=Warning"))).await.map_err(Failure::why)?;
    Ok(events.items.into_iter().filter_map(|event| incident(event, platform)).collect())
}

fn incident(event: Event, platform: &str) -> Option<Incident> {
    let about = event.regarding?;
    let (kind, name) = (about.kind.unwrap_or_default(), about.name.unwrap_or_default());
    let is_machine = kind == "HelixMachine" && name.strip_prefix(platform).is_some_and(|rest| rest.starts_with('-'));
    let is_platform = kind == "HelixPlatform" && name == platform;
    if !(is_platform || is_machine) {
        return None;
    }
    let first = event.event_time.map(|time| time.0);
    let first = first.or(event.deprecated_first_timestamp.map(|time| time.0));
    let first = first.or(event.metadata.creation_timestamp.map(|time| time.0))?;
    let last = event.series.as_ref().map(|series| series.last_observed_time.0);
    let last = last.or(event.deprecated_last_timestamp.map(|time| time.0)).unwrap_or(first);
    let count = event.series.map(|series| series.count).or(event.deprecated_count).unwrap_or(1);
    Some(Incident {
        about: format!("{kind} {name}"),
        reason: event.reason.unwrap_or_default(),
        message: event.note.unwrap_or_default(),
        first,
        last,
        count: u64::try_from(count).unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_is_told_with_its_history_in_order() {
        let object = json!({"status": {"sync": {"status": "Synced"}, "history": [
            {"id": 1, "revision": "b", "deployedAt": "2026-11-20T00:00:00Z"},
            {"id": 0, "revision": "a", "deployedAt": "2026-11-19T00:00:00Z"},
            {"id": 2, "revisions": ["x", "y"], "deployedAt": "2026-11-21T00:00:00Z"},
            {"id": 3, "revision": "c", "deployedAt": "soon"},
        ]}});
        let application = application(&object);
        assert!(application.is_synced);
        let revisions: Vec<&str> = application.history.iter().map(|it| it.revision.as_str()).collect();
        assert_eq!(revisions, ["a", "b", "x y"]);
    }

    #[test]
    fn a_database_is_well_with_all_its_instances() {
        let cluster = |phase: &str, ready: u64| {
            is_well(&json!({"spec": {"instances": 3}, "status": {"phase": phase, "readyInstances": ready}}))
        };
        assert!(cluster(HEALTHY, 3));
        assert!(!cluster(HEALTHY, 2) && !cluster("Failing over", 3) && !is_well(&json!({})));
    }

    #[test]
    fn warnings_are_those_of_the_platform_and_its_machines() {
        let event = |kind: &str, name: &str| -> Event {
            serde_json::from_value(json!({
                "metadata": {"name": "e"}, "eventTime": "2026-11-21T10:00:00.000000Z", "reason": "EtcdLost", "note": "x",
                "regarding": {"kind": kind, "name": name},
                "series": {"count": 3, "lastObservedTime": "2026-11-21T11:00:00.000000Z"},
            }))
            .unwrap()
        };
        let told = incident(event("HelixPlatform", "prod"), "prod").unwrap();
        assert_eq!((told.about.as_str(), told.count), ("HelixPlatform prod", 3));
        assert!(told.last > told.first);
        assert!(incident(event("HelixMachine", "prod-cp-0"), "prod").is_some());
        assert!(incident(event("HelixMachine", "production-cp-0"), "prod").is_none());
        assert!(incident(event("HelixPlatform", "dev"), "prod").is_none());
        assert!(incident(event("Pod", "prod"), "prod").is_none());
    }
}

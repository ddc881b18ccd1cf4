//! The Kubernetes clients against a real API server: what is stored is there, stays as it is, and goes when it should;
//! nodes are listed, changed and deleted; pods are asked to leave; a bucket is opened with what a Secret holds; errors say
//! what is wrong.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/api_server.rs"]
mod api_server;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use api_server::{ApiServer, new_authority};
use futures::{StreamExt as _, stream};
use helix_clients::kube::{SecretStore, WorkloadClients, read_token};
use helix_clients::s3::{BucketSnapshots, ObjectStores};
use helix_crds::SecretKeyRef;
use helix_engine::seams::{
    ClientConfigKind, Clock, KubernetesCredentials, Receipt, Snapshots as _, Store as _, StoreError,
    StoredClientConfig, Workload as _, WorkloadError, WorkloadRoute,
};
use helix_engine::secrets::{PkiMaker, SecretMaker as _};
use helix_plan::disruption::Mark;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{BootstrapRecord, CredentialFacts, NodeTaint, PodFacts, Readiness, StoreFacts};
use helix_plan::secrets::Secret as Text;
use helix_plan::step::NodePatch;
use helix_plan::validated::Bucket;
use helix_sim::clock::SharedWorld;
use helix_sim::s3;
use helix_sim::world::{World, WorldConfig};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "default";

fn platform(uid: &str) -> PlatformIdentity {
    PlatformIdentity { namespace: NAMESPACE.into(), name: "dev".into(), uid: uid.into() }
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn put(client: &Client, name: &str, data: &[(&str, &str)]) {
    let data: BTreeMap<String, String> = data.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    let secret = Secret { metadata, string_data: Some(data), ..Secret::default() };
    secrets(client).create(&PostParams::default(), &secret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubernetes_clients_against_a_real_api_server() {
    let Some(server) = ApiServer::start().await else { return };
    let client = server.client(&server.route(&server.bundle));
    what_is_stored_stays_as_it_is(&server, &client).await;
    a_namesake_of_a_secret_is_left_alone(&server, &client).await;
    a_receipt_replaces_an_earlier_one_and_nothing_else(&client).await;
    a_store_without_rights_says_so(&server).await;
    a_token_is_read_or_its_lack_is_explained(&server, &client).await;
    a_bucket_is_opened_with_what_its_secret_holds_now(&client).await;
    nodes_are_listed_changed_and_deleted(&server, &client).await;
    pods_leave_as_their_budget_lets_them(&server, &client).await;
    a_cluster_of_another_authority_is_told_from_one_that_is_away(&server).await;
}

async fn what_is_stored_stays_as_it_is(server: &ApiServer, client: &Client) {
    let (store, platform) = (SecretStore::new(client.clone()), platform("u1"));
    assert_eq!(store.read(&platform).await, Ok((StoreFacts::default(), None)));

    store.create_bundle(&platform, &server.bundle).await.unwrap();
    let again = store.create_bundle(&platform, &server.bundle).await.unwrap_err();
    assert_eq!(again, StoreError::Exists { what: "Secret dev-secrets".into() });
    assert_eq!(store.read(&platform).await.unwrap().1.as_ref(), Some(&server.bundle));
    let overwrite = Patch::Merge(json!({"stringData": {"secrets.yaml": "gone"}}));
    let refused = secrets(client).patch("dev-secrets", &PatchParams::default(), &overwrite).await;
    assert!(refused.is_err(), "the API server itself must refuse to change a bundle");

    let at = "2026-11-21T09:00:00Z".parse().unwrap();
    let record = BootstrapRecord { machine: platform.machine("cp", 0), server_id: 42, at };
    store.record_bootstrap(&platform, &record).await.unwrap();
    let other = BootstrapRecord { server_id: 43, ..record.clone() };
    assert_eq!(store.record_bootstrap(&platform, &other).await.unwrap_err().reason(), "StoreExists");

    let config = |endpoint: &str| StoredClientConfig {
        kind: ClientConfigKind::Kubeconfig,
        text: Text::new("a file"),
        facts: CredentialFacts { endpoints: vec![endpoint.into()], expires_at: at, bundle_digest: "d".into() },
    };
    store.put_client_config(&platform, &config("https://203.0.113.1:6443")).await.unwrap();
    store.put_client_config(&platform, &config("https://203.0.113.2:6443")).await.unwrap();

    let facts = store.read(&platform).await.unwrap().0;
    assert_eq!(facts.bundle.unwrap().digest, server.bundle.digest());
    assert_eq!(facts.bootstrap, Some(record));
    assert_eq!(facts.kubeconfig, Some(config("https://203.0.113.2:6443").facts));
    assert_eq!(facts.talosconfig, None);
    for secret in secrets(client).list(&Default::default()).await.unwrap() {
        assert_eq!(secret.metadata.owner_references, None, "nothing in the store may be garbage-collected");
    }
}

async fn a_namesake_of_a_secret_is_left_alone(server: &ApiServer, client: &Client) {
    let (store, ours, other) = (SecretStore::new(client.clone()), platform("u1"), platform("u2"));
    assert_eq!(store.read(&other).await.unwrap_err().reason(), "StoreCorrupt");
    store.forget(&other).await.unwrap();
    assert_eq!(store.read(&ours).await.unwrap().1.as_ref(), Some(&server.bundle));

    put(client, "dev-talosconfig", &[("value", "a user's own")]).await;
    let facts = CredentialFacts { endpoints: vec![], expires_at: Timestamp::now(), bundle_digest: "d".into() };
    let config = StoredClientConfig { kind: ClientConfigKind::Talosconfig, text: Text::new("x"), facts };
    assert_eq!(store.put_client_config(&ours, &config).await.unwrap_err().reason(), "StoreCorrupt");

    store.forget(&ours).await.unwrap();
    store.forget(&ours).await.unwrap();
    let left = secrets(client).list(&Default::default()).await.unwrap();
    let names: Vec<_> = left.iter().filter_map(|secret| secret.metadata.name.as_deref()).collect();
    assert_eq!(names, ["dev-talosconfig"]);
}

async fn a_receipt_replaces_an_earlier_one_and_nothing_else(client: &Client) {
    let store = SecretStore::new(client.clone());
    let receipts: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let receipt = |deleted: &[&str]| Receipt {
        at: "2026-11-21T09:00:00Z".parse().unwrap(),
        deleted: deleted.iter().map(ToString::to_string).collect(),
        deleted_count: 1,
        kept: Vec::new(),
    };
    store.put_receipt(&platform("u1"), &receipt(&["network dev"])).await.unwrap();
    store.put_receipt(&platform("u2"), &receipt(&["server dev-cp-0"])).await.unwrap();
    store.forget(&platform("u2")).await.unwrap();
    let stored = receipts.get("dev-receipt").await.unwrap();
    assert_eq!(stored.metadata.owner_references, None);
    let data = stored.data.unwrap();
    assert_eq!((&*data["uid"], &*data["deleted"]), ("u2", "server dev-cp-0\n"));

    let own = json!({"metadata": {"name": "other-receipt"}, "data": {"mine": "yes"}});
    receipts.create(&PostParams::default(), &serde_json::from_value(own).unwrap()).await.unwrap();
    let other = PlatformIdentity { name: "other".into(), ..platform("u3") };
    assert_eq!(store.put_receipt(&other, &receipt(&[])).await.unwrap_err().reason(), "StoreExists");
    assert_eq!(receipts.get("other-receipt").await.unwrap().data.unwrap().len(), 1);
}

async fn a_store_without_rights_says_so(server: &ApiServer) {
    let store = SecretStore::new(server.powerless_client());
    let error = store.read(&platform("u1")).await.unwrap_err();
    assert_eq!(error.reason(), "StoreForbidden", "{error}");
    assert_eq!(store.create_bundle(&platform("u1"), &server.bundle).await.unwrap_err().reason(), "StoreForbidden");
}

async fn a_token_is_read_or_its_lack_is_explained(server: &ApiServer, client: &Client) {
    let reference = SecretKeyRef { name: "hcloud".into(), key: "token".into() };
    let missing = read_token(client, NAMESPACE, &reference).await.unwrap_err();
    assert_eq!(missing.reason(), "TokenSecretMissing");
    assert!(missing.to_string().contains("kubectl -n default create secret generic hcloud"), "{missing}");
    put(client, "hcloud", &[("token", "abc\n"), ("empty", "")]).await;
    assert_eq!(read_token(client, NAMESPACE, &reference).await, Ok(Text::new("abc")));
    for key in ["empty", "absent"] {
        let reference = SecretKeyRef { name: "hcloud".into(), key: key.into() };
        assert_eq!(read_token(client, NAMESPACE, &reference).await.unwrap_err().reason(), "TokenKeyMissing");
    }
    let refused = read_token(&server.powerless_client(), NAMESPACE, &reference).await.unwrap_err();
    assert_eq!(refused.reason(), "TokenSecretForbidden");
}

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

async fn a_bucket_is_opened_with_what_its_secret_holds_now(client: &Client) {
    let mut world = World::new(WorldConfig::default(), Timestamp::now());
    world.object_storage().add_pair("AKIA", "hush");
    world.object_storage().add_bucket("backups");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bucket = Bucket {
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        name: "backups".into(),
        region: "us-east-1".into(),
        folder: "dev/u1/".into(),
        credentials: "backup-s3".into(),
    };
    let stop = CancellationToken::new();
    let store = tokio::spawn(s3::serve(listener, SharedWorld::new(world), stop.clone()));
    let snapshots = BucketSnapshots::new(client.clone(), ObjectStores::new(Arc::new(Wall)).unwrap());
    let platform = platform("u1");

    let told = async || snapshots.list(&platform, &bucket).await.unwrap_err().to_string();
    assert!(told().await.starts_with("Secret default/backup-s3 has no usable credentials: it does not exist"));
    put(client, "backup-s3", &[("accessKeyId", "AKIA")]).await;
    assert!(told().await.contains("it has no usable secretAccessKey"), "{}", told().await);
    let set = async |secret: &str| {
        let patch = Patch::Merge(json!({"stringData": {"secretAccessKey": secret}}));
        secrets(client).patch("backup-s3", &PatchParams::default(), &patch).await.unwrap();
    };
    set("wrong").await;
    assert!(told().await.contains("its secretAccessKey is not that of its accessKeyId"), "{}", told().await);
    set("hush\n").await;
    snapshots.put(&platform, &bucket, "dev/u1/a", b"content".to_vec()).await.unwrap();
    snapshots.put(&platform, &bucket, "dev/u2/a", b"another's".to_vec()).await.unwrap();
    let listed = snapshots.list(&platform, &bucket).await.unwrap();
    assert_eq!(listed.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["dev/u1/a"]);
    assert_eq!(snapshots.get(&platform, &bucket, "dev/u1/a", 7).await.unwrap(), b"content");
    snapshots.delete(&platform, &bucket, "dev/u1/a").await.unwrap();
    assert_eq!(snapshots.list(&platform, &bucket).await, Ok(Vec::new()));
    stop.cancel();
    store.await.unwrap();
}

async fn nodes_are_listed_changed_and_deleted(server: &ApiServer, client: &Client) {
    // One more than fits on a page.
    let nodes: Api<Node> = Api::all(client.clone());
    let create = |slot: u32| {
        let nodes = nodes.clone();
        let name = platform("u1").machine("general", slot).to_string();
        let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
        async move { nodes.create(&PostParams::default(), &Node { metadata, ..Node::default() }).await.unwrap() }
    };
    stream::iter(0..501).map(create).buffer_unordered(16).collect::<Vec<_>>().await;

    let (workload, route) = (WorkloadClients::new(), server.route(&server.bundle));
    assert_eq!(workload.nodes(&route).await.unwrap().len(), 501);

    let machine = platform("u1").machine("general", 7);
    let gpu = NodeTaint { key: "gpu".into(), value: "yes".into(), effect: "NoSchedule".into() };
    let patch = NodePatch {
        labels: [("tier".to_owned(), "gold".to_owned())].into(),
        remove_labels: Vec::new(),
        taints: Some(vec![gpu.clone()]),
        ..NodePatch::default()
    };
    workload.patch_node(&route, &machine, &patch).await.unwrap();
    let found = |nodes: Vec<helix_plan::observed::NodeFacts>| nodes.into_iter().find(|n| n.name == machine.to_string());
    let node = found(workload.nodes(&route).await.unwrap()).unwrap();
    assert_eq!((node.labels.get("tier").map(String::as_str), &node.taints), (Some("gold"), &vec![gpu.clone()]));

    let patch = NodePatch { remove_labels: vec!["tier".into()], ..NodePatch::default() };
    workload.patch_node(&route, &machine, &patch).await.unwrap();
    let node = found(workload.nodes(&route).await.unwrap()).unwrap();
    assert_eq!((node.labels.get("tier"), node.taints), (None, vec![gpu]), "taints that are not named stay");

    let mark: Mark = "leave 2026-11-21T12:00:00Z".parse().unwrap();
    workload.patch_node(&route, &machine, &NodePatch::mark(&mark)).await.unwrap();
    let node = found(workload.nodes(&route).await.unwrap()).unwrap();
    assert_eq!(
        (node.unschedulable, node.mark, node.readiness),
        (true, Some(mark), Readiness::NotReady { since: None })
    );
    workload.patch_node(&route, &machine, &NodePatch::unmark(false)).await.unwrap();
    let node = found(workload.nodes(&route).await.unwrap()).unwrap();
    assert_eq!((node.unschedulable, node.mark), (false, None));

    workload.delete_node(&route, &machine).await.unwrap();
    workload.delete_node(&route, &machine).await.unwrap();
    assert_eq!(found(workload.nodes(&route).await.unwrap()), None);
    let error = workload.patch_node(&route, &machine, &patch).await.unwrap_err();
    assert!(matches!(error, WorkloadError::Other { code: 404, .. }), "{error:?}");
}

/// No controller runs here: the budget's status is written by the test, and nobody but the test deletes or starts pods.
async fn pods_leave_as_their_budget_lets_them(server: &ApiServer, client: &Client) {
    let (workload, route) = (WorkloadClients::new(), server.route(&server.bundle));
    let machine = platform("u1").machine("general", 1);
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    // A controller manager would have made it.
    Api::<ServiceAccount>::namespaced(client.clone(), NAMESPACE)
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let daemon = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": true}]);
    for (name, node, owners) in [
        ("web-1", &*machine.to_string(), json!([])),
        ("agent", &machine.to_string(), daemon),
        ("far", "other", json!([])),
    ] {
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": name}, "ownerReferences": owners},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "c.invalid/c:1"}]},
        });
        pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    }
    let running = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status("web-1", &PatchParams::default(), &Patch::Merge(&running)).await.unwrap();
    let web = PodFacts { namespace: NAMESPACE.into(), name: "web-1".into(), leaving: false };
    assert_eq!(workload.pods_on(&route, &machine).await.unwrap(), std::slice::from_ref(&web));

    let budgets: Api<PodDisruptionBudget> = Api::namespaced(client.clone(), NAMESPACE);
    let budget = json!({
        "metadata": {"name": "keep-web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web-1"}}},
    });
    let made = budgets.create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
    let allow = |disruptions: u32| {
        json!({"status": {
            "observedGeneration": made.metadata.generation, "disruptionsAllowed": disruptions, "currentHealthy": 1,
            "desiredHealthy": 1 - disruptions, "expectedPods": 1,
        }})
    };
    let set = async |disruptions| {
        let status = Patch::Merge(allow(disruptions));
        budgets.patch_status("keep-web", &PatchParams::default(), &status).await.unwrap();
    };
    set(0).await;
    let refused = workload.evict(&route, &web).await.unwrap_err();
    assert_eq!(refused.reason(), "EvictionRefused", "{refused}");
    assert!(refused.to_string().contains("default/web-1"), "{refused}");
    assert!(refused.to_string().contains("keep-web"), "the budget is named: {refused}");
    set(1).await;
    workload.evict(&route, &web).await.unwrap();
    let left = workload.pods_on(&route, &machine).await.unwrap();
    assert_eq!(left, [PodFacts { leaving: true, ..web.clone() }], "a kubelet would end it now");
    let at_once = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    pods.delete("web-1", &at_once).await.unwrap();
    workload.evict(&route, &web).await.unwrap();
    assert_eq!(workload.pods_on(&route, &machine).await.unwrap(), []);
}

async fn a_cluster_of_another_authority_is_told_from_one_that_is_away(server: &ApiServer) {
    let (workload, good) = (WorkloadClients::new(), server.route(&server.bundle));
    let stranger = PkiMaker.make_bundle(Timestamp::now()).await.unwrap();
    let error = workload.nodes(&server.route(&stranger)).await.unwrap_err();
    assert_eq!(error.reason(), "ApiUnauthorized", "our certificate is of another authority: {error}");

    let with_ca = |ca_pem: String| {
        let credentials = KubernetesCredentials {
            ca_pem,
            certificate_pem: good.credentials.certificate_pem.clone(),
            key_pem: good.credentials.key_pem.clone(),
        };
        WorkloadRoute { endpoint: good.endpoint.clone(), credentials: Arc::new(credentials) }
    };
    let error = workload.nodes(&with_ca(new_authority("another").pem())).await.unwrap_err();
    assert_eq!(error.reason(), "ApiUnauthorized", "its certificate is of another authority: {error}");
    let error = workload.nodes(&with_ca("no PEM".into())).await.unwrap_err();
    assert_eq!(error.reason(), "ApiUnreachable", "{error}");

    let away = WorkloadRoute { endpoint: format!("https://{}:1", Ipv4Addr::LOCALHOST), ..good.clone() };
    let error = workload.nodes(&away).await.unwrap_err();
    assert_eq!(error.reason(), "ApiUnreachable", "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

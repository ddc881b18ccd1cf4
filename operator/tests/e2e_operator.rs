//! The program on a real API server, under exactly the role of `manifests/operator-rbac.yaml`: what it says when it
//! cannot work, that it resumes by itself, what it leaves of a platform, and that it stands by, takes over and leaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "what the clients' tests need besides")]
#[path = "../../crates/clients/tests/support/api_server.rs"]
mod api_server;
#[path = "support/hetzner.rs"]
mod hetzner;
#[path = "support/program.rs"]
mod program;

use std::time::{Duration, Instant};

use api_server::ApiServer;
use helix_crds::labels::TEARDOWN_FINALIZER;
use helix_crds::{HelixPlatform, PhaseName, ProviderSpec};
use hetzner::Hetzner;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use program::{NAMESPACE, Program, install};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_on_a_real_api_server() {
    let Some(server) = ApiServer::start().await else { return };
    let client = server.client(&server.route(&server.bundle));
    install(&client).await;
    let program = Program::start(&server, &[]).await;
    it_says_what_it_lacks_and_resumes_by_itself(&client).await;
    a_paused_platform_is_left_alone(&client).await;
    what_was_never_made_is_let_go(&client).await;
    it_serves_its_metrics(&program).await;
    a_deleted_platform_leaves_a_receipt(&client).await;
    program.stop_cleanly().await;
    replicas_stand_by_and_take_over(&server, &client).await;
}

/// A platform of the smallest kind; nobody listens at its endpoint.
fn platform(name: &str, secret: &str) -> HelixPlatform {
    serde_json::from_value(json!({
        "apiVersion": "helix.dev/v1alpha1",
        "kind": "HelixPlatform",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "provider": {"hetzner": {
                "tokenSecretRef": {"name": secret},
                "apiAllowlist": ["203.0.113.7/32"],
                "endpoint": "http://127.0.0.1:9/v1",
            }},
            "controlPlane": {"placements": [{"serverType": "cax11", "location": "fsn1"}]},
        },
    }))
    .unwrap()
}

fn platforms(client: &Client) -> Api<HelixPlatform> {
    Api::namespaced(client.clone(), NAMESPACE)
}

fn ready(platform: &HelixPlatform) -> Option<&Condition> {
    platform.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == "Ready")
}

/// The platform as soon as its condition Ready has the reason.
async fn wait_for_reason(client: &Client, name: &str, reason: &str) -> HelixPlatform {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let platform = platforms(client).get(name).await.unwrap();
        if ready(&platform).is_some_and(|condition| condition.reason == reason) {
            return platform;
        }
        assert!(Instant::now() < deadline, "{name} is not {reason}: {:?}", platform.status);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn it_says_what_it_lacks_and_resumes_by_itself(client: &Client) {
    platforms(client).create(&PostParams::default(), &platform("dev", "hcloud")).await.unwrap();
    let dev = wait_for_reason(client, "dev", "TokenSecretMissing").await;
    let condition = ready(&dev).unwrap();
    assert!(condition.message.contains("helix-system/hcloud"), "{condition:?}");
    assert!(condition.message.contains("kubectl"), "the remedy is named: {condition:?}");
    assert_eq!(dev.finalizers(), [""; 0], "nothing can have been made yet");
    assert_eq!(dev.status.as_ref().unwrap().observed_generation, dev.metadata.generation);
    wait_for_event(client, "TokenSecretMissing").await;

    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "hcloud"}, "stringData": {"token": "not-a-real-token"},
    }))
    .unwrap();
    Api::<Secret>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &secret).await.unwrap();
    let dev = wait_for_reason(client, "dev", "HetznerUnreachable").await;
    assert_eq!(dev.finalizers(), [TEARDOWN_FINALIZER]);
    assert!(!serde_json::to_string(&dev).unwrap().contains("not-a-real-token"));
}

async fn wait_for_event(client: &Client, reason: &str) {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = events.list(&ListParams::default()).await.unwrap();
        let said: Vec<&Event> = list.iter().filter(|event| event.reason.as_deref() == Some(reason)).collect();
        if let Some(first) = said.first() {
            assert_eq!(said.len(), 1, "{said:?}");
            assert_eq!(first.regarding.as_ref().and_then(|object| object.name.as_deref()), Some("dev"));
            return;
        }
        assert!(Instant::now() < deadline, "no event {reason} in {list:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_paused_platform_is_left_alone(client: &Client) {
    let mut paused = platform("paused", "hcloud");
    paused.spec.paused = true;
    platforms(client).create(&PostParams::default(), &paused).await.unwrap();
    let paused = wait_for_reason(client, "paused", "Paused").await;
    assert_eq!(paused.finalizers(), [""; 0]);
    let resume = Patch::Merge(json!({"spec": {"paused": false}}));
    platforms(client).patch("paused", &PatchParams::default(), &resume).await.unwrap();
    wait_for_reason(client, "paused", "HetznerUnreachable").await;
}

async fn what_was_never_made_is_let_go(client: &Client) {
    platforms(client).create(&PostParams::default(), &platform("never", "no-such-secret")).await.unwrap();
    wait_for_reason(client, "never", "TokenSecretMissing").await;
    platforms(client).delete("never", &DeleteParams::default()).await.unwrap();
    assert!(platforms(client).get_opt("never").await.unwrap().is_none());

    // One for which something may have been made stays, and says so, as long as nobody can tell.
    platforms(client).delete("dev", &DeleteParams::default()).await.unwrap();
    let dev = wait_for_reason(client, "dev", "Deleting").await;
    assert_eq!(dev.finalizers(), [TEARDOWN_FINALIZER]);
}

async fn a_deleted_platform_leaves_a_receipt(client: &Client) {
    let Some(hetzner) = Hetzner::start().await else { return };
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "simulated"}, "stringData": {"token": hetzner.token},
    }))
    .unwrap();
    Api::<Secret>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &secret).await.unwrap();
    let mut made = platform("made", "simulated");
    let ProviderSpec::Hetzner(provider) = &mut made.spec.provider;
    provider.endpoint.clone_from(&hetzner.endpoint);
    made.spec.until_phase = PhaseName::HardenedCore;
    let made = platforms(client).create(&PostParams::default(), &made).await.unwrap();
    wait_until_made(client, "made").await;

    platforms(client).delete("made", &DeleteParams::default()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Some(left) = platforms(client).get_opt("made").await.unwrap() {
        assert!(Instant::now() < deadline, "it stays: {:?}", left.status);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let receipts: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let receipt = receipts.get("made-receipt").await.unwrap();
    assert_eq!(receipt.metadata.owner_references, None, "it outlives the platform");
    let data = receipt.data.unwrap();
    assert_eq!((Some(&data["uid"]), &*data["name"]), (made.metadata.uid.as_ref(), "made"));
    for name in ["network made", "firewall made", "SSH key made"] {
        assert!(data["deleted"].lines().any(|line| line == name), "{name} is not in {data:?}");
    }
    assert_eq!(data["deletedCount"], data["deleted"].lines().count().to_string());
}

/// Waits until the first phase has nothing left to make.
async fn wait_until_made(client: &Client, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = platforms(client).get(name).await.unwrap().status.unwrap_or_default();
        let at_rest = status.plan.as_ref().is_some_and(|plan| plan.steps == 0);
        if at_rest && status.cost.as_ref().is_some_and(|cost| cost.monthly != "0.00 EUR") {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is not made: {status:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn it_serves_its_metrics(program: &Program) {
    assert_eq!(program.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(program.get("/readyz").await, (200, "working\n".to_owned()));
    let (status, metrics) = program.get("/metrics").await;
    assert_eq!(status, 200);
    let phase =
        r#"helix_platform_phase{namespace="helix-system",platform="paused",phase="HardenedCore",state="Unknown"} 1"#;
    for line in [phase, "helix_leads 1", r#"helix_api_budget_limit{namespace="helix-system",secret="hcloud"} 3600"#] {
        assert!(metrics.lines().any(|written| written == line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("not-a-real-token"));
}

async fn replicas_stand_by_and_take_over(server: &ApiServer, client: &Client) {
    let elect = ["--leader-elect", "--lease-namespace=helix-system", "--lease-seconds=3"];
    let first = Program::start(server, &[&elect[..], &["--identity=first"]].concat()).await;
    wait_for_holder(client, "first").await;
    let second = Program::start(server, &[&elect[..], &["--identity=second"]].concat()).await;
    second.wait_until("/readyz", "standing by for the lease\n").await;
    first.kill().await;
    wait_for_holder(client, "second").await;
    second.wait_until("/readyz", "working\n").await;
    second.stop_cleanly().await;
    let lease = leases(client).get("helix-operator").await.unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity, None, "a clean end gives the lease up");
}

fn leases(client: &Client) -> Api<Lease> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn wait_for_holder(client: &Client, identity: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let lease = leases(client).get_opt("helix-operator").await.unwrap();
        let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
        if holder.as_deref() == Some(identity) {
            return;
        }
        assert!(Instant::now() < deadline, "{identity} does not lead, but {holder:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

//! The chart source against the catalogue: every chart is served, knows the values that Helix sets, renders the same twice
//! with the real Helm, and holds the workloads and labels that the catalogue counts on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/rendered.rs"]
mod rendered;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use helix_plan::components::values::KnownValues;
use helix_plan::components::{Component, Probe, WantedChart, matrix};
use helix_plan::policy::{Pods, Source, Target};
use helix_plan::validated::Layers;
use helix_sim::faults::{CallPattern, Fault, Injection};
use helix_sim::simulator::{Options, Simulator};
use helix_sim::world::WorldConfig;
use serde_json::Value;

use crate::rendered::{helm, layers, objects, render, unpack, with_charts};

async fn simulator() -> Simulator {
    let listen = ([127, 0, 0, 1], 0).into();
    Simulator::start(Options { world: WorldConfig::default(), listen, machines: None }).await.unwrap()
}

/// A caller of the chart source.
struct Caller {
    http: reqwest::Client,
    at: String,
}

impl Caller {
    fn of(simulator: &Simulator) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::new(), at: simulator.charts.clone() }
    }

    async fn get(&self, path: &str, token: Option<&str>) -> (u16, Vec<u8>) {
        let request = self.http.get(format!("{}{path}", self.at));
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    async fn json(&self, path: &str, token: Option<&str>) -> Value {
        let (status, body) = self.get(path, token).await;
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    }

    /// The archive of a chart, as its index or manifest leads to it, and the digest that was told of it.
    async fn archive(&self, chart: &WantedChart) -> (Vec<u8>, String) {
        let (name, version) = (&chart.name, &chart.version);
        if let Some(repository) = chart.repository.strip_prefix("oci://") {
            let token = self.json("/token", None).await["token"].as_str().unwrap().to_owned();
            let at = format!("/v2/{repository}/{name}");
            assert_eq!(self.get(&format!("{at}/manifests/{version}"), None).await.0, 401);
            let manifest = self.json(&format!("{at}/manifests/{version}"), Some(&token)).await;
            let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
            let (status, archive) = self.get(&format!("{at}/blobs/{digest}"), Some(&token)).await;
            assert_eq!(status, 200);
            return (archive, digest.trim_start_matches("sha256:").to_owned());
        }
        let at = format!("/{}", chart.repository.trim_start_matches("https://"));
        let index = self.json(&format!("{at}/index.yaml"), None).await;
        let entries = index["entries"][*name].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["version"] == version.as_str());
        let entry = entry.unwrap_or_else(|| panic!("{name} {version} is not in its index"));
        let (status, archive) = self.get(&format!("{at}/{}", entry["urls"][0].as_str().unwrap()), None).await;
        assert_eq!(status, 200);
        (archive, entry["digest"].as_str().unwrap().to_owned())
    }
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn every_chart_of_the_catalogue_is_served_and_knows_what_helix_sets() {
    let simulator = simulator().await;
    let caller = Caller::of(&simulator);
    let layers = layers();
    for (found, chart) in with_charts(&layers) {
        let (archive, digest) = caller.archive(&chart).await;
        assert_eq!(sha256(&archive), digest, "{}", chart.name);
        assert_eq!(archive, caller.archive(&chart).await.0, "{}", chart.name);
        let dir = tempfile::tempdir().unwrap();
        let values = unpack(&archive, dir.path(), chart.name).join("values.yaml");
        let known = KnownValues::read(&std::fs::read_to_string(values).unwrap(), None).unwrap();
        assert_eq!(found.unknown_keys(&known), [], "{}", chart.name);
    }
    simulator.stop().await;
}

#[tokio::test]
async fn charts_go_missing_change_and_break_on_demand() {
    let simulator = simulator().await;
    let caller = Caller::of(&simulator);
    let layers = layers();
    let charts = with_charts(&layers);
    let chart = |name: &str| &charts.iter().find(|(_, chart)| chart.name == name).unwrap().1;
    let inject = |fault: Fault| simulator.world.with(|world, _| world.inject(Injection::standing(fault)));
    let withdraw = |id: u64| simulator.world.with(|world, _| world.faults().withdraw(id));

    for name in ["cert-manager", "netbird-operator"] {
        let before = caller.archive(chart(name)).await;
        let republished = inject(Fault::ChartRepublished { chart: name.to_owned() });
        let after = caller.archive(chart(name)).await;
        assert_ne!(before.1, after.1);
        assert_eq!(sha256(&after.0), after.1, "what is told is true of what is served");
        withdraw(republished);
        assert_eq!(caller.archive(chart(name)).await, before);
    }

    let gone = inject(Fault::ChartWithdrawn { chart: "cert-manager".to_owned() });
    let index = caller.json("/charts.jetstack.io/index.yaml", None).await;
    assert_eq!(index["entries"], serde_json::json!({}));
    withdraw(gone);

    let down = CallPattern::new("GET", "/charts/charts.jetstack.io/**");
    let down = inject(Fault::Refused { call: down, code: "server_error".to_owned() });
    assert_eq!(caller.get("/charts.jetstack.io/index.yaml", None).await.0, 503);
    assert_eq!(caller.get("/helm.cilium.io/index.yaml", None).await.0, 200);
    withdraw(down);

    let cut = CallPattern::new("GET", "/charts/charts.jetstack.io/cert-manager-1.21.1.tgz");
    inject(Fault::AnswerTruncated { call: cut });
    let response = caller.http.get(format!("{}/charts.jetstack.io/cert-manager-1.21.1.tgz", caller.at)).send();
    assert!(response.await.unwrap().bytes().await.is_err(), "the connection is cut");
    simulator.stop().await;
}

/// Helm's own ways of fetching a chart are clients that are not ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_itself_pulls_from_repository_and_registry() {
    let helm = helm();
    let simulator = simulator().await;
    let dir = tempfile::tempdir().unwrap();
    let registry = simulator.charts.replace("http://", "oci://");
    let of_registry = format!("{registry}/ghcr.io/netbirdio/helm-charts/netbird-operator");
    let repository = format!("{}/charts.jetstack.io", simulator.charts);
    let pulls: [&[&str]; 2] = [
        &["pull", &of_registry, "--version", "0.8.0", "--plain-http"],
        &["pull", "cert-manager", "--repo", &repository, "--version", "1.21.0"],
    ];
    for pull in pulls {
        let output = Command::new(&helm)
            .args(pull)
            .args(["--destination".as_ref(), dir.path().as_os_str()])
            .env_clear()
            .env("HOME", dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{pull:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(dir.path().join("netbird-operator-0.8.0.tgz").is_file());
    assert!(dir.path().join("cert-manager-1.21.0.tgz").is_file());
    simulator.stop().await;
}

/// Kinds and names of workloads that the operators make, not the charts.
fn made_by_operators(component: Component, kind: &str, name: &str) -> bool {
    match component {
        Component::Longhorn => name.contains("csi"),
        Component::KubePrometheusStack => kind == "StatefulSet",
        _ => false,
    }
}

#[tokio::test]
async fn every_chart_renders_the_same_twice_with_what_the_catalogue_counts_on() {
    let helm = helm();
    let simulator = simulator().await;
    let caller = Caller::of(&simulator);
    let layers = layers();
    let mut pods: BTreeMap<&str, Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for (found, chart) in with_charts(&layers) {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = unpack(&caller.archive(&chart).await.0, dir.path(), chart.name);
        let rendered = render(&helm, &unpacked, &found, dir.path());
        assert_eq!(rendered, render(&helm, &unpacked, &found, dir.path()), "{}", found.component);
        let objects = objects(&rendered);
        let is_there = |kind: &str, name: &str| {
            made_by_operators(found.component, kind, name)
                || objects.iter().any(|it| it["kind"] == kind && it["metadata"]["name"] == name)
        };
        assert!(objects.iter().all(|it| it["kind"] != "Secret"), "{}", found.component);
        for (kind, name) in found.component.entry().health.iter().filter_map(Probe::workload) {
            assert!(is_there(kind, name), "{} renders no {kind} {name}", found.component);
        }
        let namespace = found.component.entry().home.namespace();
        for template in objects.iter().filter_map(|it| it.pointer("/spec/template/metadata/labels")) {
            pods.entry(namespace).or_default().push(serde_json::from_value(template.clone()).unwrap());
        }
    }
    simulator.stop().await;
    assert_eq!(unmatched(&layers, &pods), BTreeSet::new(), "flows name pods that no chart has");
}

/// The pods that flows name by labels within the namespaces of charts and that are in none of them.
fn unmatched(layers: &Layers, pods: &BTreeMap<&str, Vec<BTreeMap<String, String>>>) -> BTreeSet<String> {
    let matrix = matrix(layers);
    let named = matrix.flows().flat_map(|flow| {
        let from = if let Source::Pods(pods) = &flow.from { Some(pods) } else { None };
        let to = if let Target::Pods(pods) = &flow.to { Some(pods) } else { None };
        [from, to].into_iter().flatten()
    });
    // The instances of databases and Prometheus are made by their operators, solvers of challenges by cert-manager,
    // and the cluster's DNS by Talos.
    let by_operators = |wanted: &Pods| {
        let by_key = ["cnpg.io/cluster", "acme.cert-manager.io/http01-solver"];
        by_key.iter().any(|key| wanted.labels.contains_key(*key))
            || wanted.labels.values().any(|value| value == "prometheus" || value == "kube-dns")
    };
    let missing = named.filter(|wanted| !by_operators(wanted)).filter(|wanted| {
        let here = pods.get(wanted.namespace.as_str());
        here.is_some_and(|here| {
            !here.iter().any(|labels| wanted.labels.iter().all(|(key, value)| labels.get(key) == Some(value)))
        })
    });
    missing.map(ToString::to_string).collect()
}

//! Ollama: models on own machines, pulled once and kept.

mod models;

use helix_crds::PhaseName;
use serde_json::{Value, json};

pub use models::{ModelsUntold, lacking as lacking_models};

use super::entry::{no_secrets, no_version};
use super::{Chart, Component, Entry, Home, PodSecurity, Probe, Question, Source, Supports, hcloud_csi};
use crate::policy::{Flow, NamePattern, Ports, Source as From, Target};
use crate::validated::Layers;

/// The port on which it answers.
pub(super) const PORT: u16 = 11434;
/// Where models come from: the registry, and the store to which it sends for their layers.
const REGISTRY: [&str; 2] = ["registry.ollama.ai", "*.r2.cloudflarestorage.com"];

pub(super) static ENTRY: Entry = Entry {
    name: "ollama",
    phase: PhaseName::AiAgentic,
    home: Home::Own { namespace: "ollama", level: PodSecurity::Baseline },
    source: Source::Chart(Chart::new("https://helm.otwld.com", "ollama", "1.77.0")),
    needs: &[Component::HcloudCsi],
    after: &[],
    health: &[
        Probe::Deployment("ollama"),
        Probe::Models(Question { service: "ollama", port: PORT, path: "/api/tags" }),
    ],
    host_network: None,
    talos_extensions: &[],
    metrics: &[],
    supports: Supports::ALL,
    asked_by: "ai.ollama",
    asked: |layers| layers.ollama.is_some(),
    version: no_version,
    open_values: &[],
    fixed_values: &["/service/type"],
    values,
    resources: super::entry::no_resources,
    flows,
    secrets: no_secrets,
};

fn values(layers: &Layers) -> Value {
    let Some(ollama) = &layers.ollama else { return json!({}) };
    json!({
        "fullnameOverride": "ollama",
        "ollama": {"gpu": {"enabled": ollama.gpu}, "models": {"pull": ollama.models}},
        "persistentVolume": {"enabled": true, "size": ollama.storage, "storageClass": hcloud_csi::STORAGE_CLASS},
        "service": {"type": "ClusterIP"},
        "ingress": {"enabled": false},
        "tests": {"enabled": false},
    })
}

fn flows(_: &Layers) -> Vec<Flow> {
    let names = REGISTRY.into_iter().filter_map(NamePattern::parse).collect();
    vec![
        Flow::new(ENTRY.pods(), Target::Names(names), Ports::tcp([443]), "Ollama pulls its models"),
        Flow::new(From::Nodes, ENTRY.pods(), Ports::tcp([PORT]), "API servers ask for Helix which models are there"),
    ]
}

//! Phase `AiAgentic`: models, agents and a browser for them.
//!
//! Databases that agents use are named here and described in `data`.

use crate::reference::SecretKeyRef;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The AI layer of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ai {
    /// Models on own machines. Default: none is installed. Example: `{models: ["llama3.2:3b"]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
    /// Agents. Default: none is installed. Example: `{image: ghcr.io/acme/agents:1.4.0, licenseSecretRef: {name:
    /// langgraph}, postgres: main, redis: cache}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langgraph: Option<LangGraph>,
    /// A browser for agents. Default: none is installed. Example: `{egressAllow: [example.com]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steel_browser: Option<SteelBrowser>,
}

/// Models served by Ollama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ollama {
    /// Models that are pulled and kept, with their tag. Default: `[]`. Example: `["llama3.2:3b"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 253)))]
    pub models: Vec<String>,
    /// Whether it runs on machines with a GPU. Default: `false`. Example: `true`.
    #[serde(default)]
    pub gpu: bool,
    /// Size of the models' volume, in bytes with a unit. Default: `50Gi`. Example: `200Gi`.
    #[serde(default = "default_ollama_storage")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))")
        .message("is not a positive quantity: write a number with a unit, for example 50Gi"))]
    pub storage: String,
}

fn default_ollama_storage() -> String {
    "50Gi".to_owned()
}

/// Agents served by LangGraph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LangGraph {
    /// Image with the agents. Required. Example: `ghcr.io/acme/agents:1.4.0`.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Secret key with the licence. Required. Example: `{name: langgraph, key: license}`.
    pub license_secret_ref: SecretKeyRef,
    /// Name of the entry of `data.postgres` that holds its state. Required. Example: `main`.
    #[schemars(length(min = 1, max = 50))]
    pub postgres: String,
    /// Name of the entry of `data.redis` that carries its messages. Required. Example: `cache`.
    #[schemars(length(min = 1, max = 50))]
    pub redis: String,
}

/// A browser for agents, which reaches only what is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SteelBrowser {
    /// DNS names that it may reach; one may begin with `*.`. Default: `[]`, none. Example: `[example.com,
    /// "*.wikipedia.org"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(min = 1, max = 253)))]
    pub egress_allow: Vec<String>,
}

//! What may run: signatures of images and charts, overrides of the component catalogue, and policies over plans.
//!
//! The catalogue itself (charts, versions, digests) is the planner's.

use crate::reference::ConfigMapKeyRef;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Verification of what is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SupplyChain {
    /// Rules in their order; the first whose `match` fits decides. Default: `[]`. Example: `[{match: "ghcr.io/acme/*",
    /// keyless: {issuer: "https://token.actions.githubusercontent.com", identityRegExp: "^https://github.com/acme/"}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub verify: Vec<VerifyRule>,
}

/// How images and charts of a reference are verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!(has(self.keyless) && has(self.publicKey))")
        .message("has both keyless and publicKey: write one of them, and a second rule for the other"),
    validation = Rule::new("self.policy != 'Enforce' || has(self.keyless) || has(self.publicKey)")
        .message("nothing can fulfil this rule: write keyless or publicKey, or policy: Warn")
)]
pub struct VerifyRule {
    /// References that the rule is for; `*` stands for any characters. Required. Example: `ghcr.io/acme/*`.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 253))]
    pub reference: String,
    /// Identity that must have signed, with a short-lived certificate. Default: none. Example: `{issuer:
    /// "https://token.actions.githubusercontent.com", identityRegExp: "^https://github.com/acme/"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessIdentity>,
    /// Public key, PEM, whose private half must have signed. Default: none. Example: `"-----BEGIN PUBLIC KEY-----…"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub public_key: Option<String>,
    /// What happens without a good signature: `Enforce` (it is not installed) or `Warn`. Default: `Enforce`. Example:
    /// `Warn`.
    #[serde(default)]
    pub policy: VerifyPolicy,
}

/// Who must have signed, by a certificate of Sigstore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeylessIdentity {
    /// Issuer of the signer's token. Required. Example: `https://token.actions.githubusercontent.com`.
    #[schemars(length(min = 1, max = 253))]
    pub issuer: String,
    /// Regular expression that the signer's identity must match. Required. Example: `^https://github.com/acme/`.
    #[serde(rename = "identityRegExp")]
    #[schemars(length(min = 1, max = 512))]
    pub identity_reg_exp: String,
}

/// What happens without a good signature: `Enforce` or `Warn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VerifyPolicy {
    /// It is not installed.
    #[default]
    Enforce,
    /// It is installed, and said.
    Warn,
}

/// Override of one entry of the component catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentOverride {
    /// Whether the component is installed. Default: `true`. Example: `false`.
    #[serde(default = "default_component_enabled")]
    pub enabled: bool,
    /// Version of its chart. Default: the catalogue's. Example: `1.20.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub version: Option<String>,
    /// Values of its chart, merged over the catalogue's. Default: `{}`. Example: `{replicas: 2}`.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schemars(schema_with = "chart_values")]
    pub values: serde_json::Map<String, serde_json::Value>,
}

fn default_component_enabled() -> bool {
    true
}

impl Default for ComponentOverride {
    fn default() -> Self {
        Self { enabled: default_component_enabled(), version: None, values: serde_json::Map::new() }
    }
}

/// A policy in Rego that judges every plan before it is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanPolicy {
    /// Name of the policy, for messages. Required. Example: `prod-guardrails`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// ConfigMap key with the policy's text. Required. Example: `{name: guardrails, key: policy.rego}`.
    pub rego_config_map_ref: ConfigMapKeyRef,
}

fn chart_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

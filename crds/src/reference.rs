//! References to Secrets and ConfigMaps of the platform's namespace, and to S3 buckets.
//!
//! A reference never reaches into another namespace: who may write a platform must not thereby read others' Secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One key of a Secret in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// Name of the Secret. Required. Example: `hcloud`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret's `data`. Default: `token`. Example: `token`.
    #[serde(default = "default_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_secret_key() -> String {
    "token".to_owned()
}

/// A Secret with several keys in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret. Required. Example: `platform-git`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a ConfigMap in the platform's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap. Required. Example: `guardrails`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the ConfigMap's `data`. Default: `policy.rego`. Example: `prod.rego`.
    #[serde(default = "default_policy_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_policy_key() -> String {
    "policy.rego".to_owned()
}

/// A bucket of an S3-compatible object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Target {
    /// URL of the object store, or the bucket's own, which begins with its name. Required. Example:
    /// `https://fsn1.your-objectstorage.com`.
    #[schemars(length(min = 1, max = 253))]
    pub endpoint: String,
    /// Name of the bucket, which must exist. Required. Example: `acme-backups`.
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// Region of the bucket; most compatible stores ignore it. Default: the store's own. Example: `fsn1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
    /// Prefix of every object's key, without a leading slash. Default: the platform's name. Example: `prod/etcd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub prefix: Option<String>,
    /// Secret with the keys `accessKeyId` and `secretAccessKey`. Required. Example: `{name: backup-s3}`.
    pub credentials_secret_ref: SecretRef,
}

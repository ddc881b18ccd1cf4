//! Phase `GitOpsControlPlane`: Argo CD, the user's repository and Devtron.
//!
//! Helix stays the only writer of everything up to and including Argo CD.

use crate::reference::SecretRef;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The GitOps layer of the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitOps {
    /// The repository that the platform's manifests are published to and synced from. Default: none; Helix
    /// then writes every component itself. Example: `{url: https://github.com/acme/platform.git, path: clusters/prod}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<GitRepository>,
    /// Argo CD. Default: as of its fields. Example: `{version: 10.1.1, host: argocd.example.com}`.
    #[serde(default)]
    pub argocd: ArgoCd,
    /// Devtron. Default: `{enabled: false}`. Example: `{enabled: true}`.
    #[serde(default)]
    pub devtron: Devtron,
    /// How rendered manifests reach the repository: `None` (you copy them), `Commit` or `PullRequest`. Default:
    /// `PullRequest`. Example: `Commit`.
    #[serde(default)]
    pub publish: Publish,
}

/// A Git repository, and the platform's place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRepository {
    /// URL of the repository, by https or ssh. Required. Example: `https://github.com/acme/platform.git`.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("!self.matches('^https?://[^/]*@') && !self.matches('^[a-z+]+://[^/]*:[^/]*@')")
        .message("holds credentials, which everybody would see: put them into the Secret of credentialsSecretRef"))]
    pub url: String,
    /// Branch that is synced. Default: `main`. Example: `production`.
    #[serde(default = "default_branch")]
    #[schemars(length(min = 1, max = 253))]
    pub branch: String,
    /// Directory of this platform, without a leading slash. Default: `.`. Example: `clusters/prod`.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.contains('..')")
        .message("leaves the repository: write a relative path, for example clusters/prod"))]
    pub path: String,
    /// Secret with `username` and `password`, or `sshPrivateKey`, or `githubAppId`, `githubAppInstallationId` and
    /// `githubAppPrivateKey`. Default: none, for a public repository that is only read. Example: `{name: platform-git}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
}

fn default_branch() -> String {
    "main".to_owned()
}

fn default_path() -> String {
    ".".to_owned()
}

/// Argo CD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArgoCd {
    /// Version of the chart, without a leading `v`. Default: `10.1.1`. Example: `10.1.1`.
    #[serde(default = "default_argocd_version")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]+[.][0-9]+[.][0-9]+$')")
        .message("is not a chart version: write it as X.Y.Z, for example 10.1.1"))]
    pub version: String,
    /// DNS name of its pages. Default: none; they are reached by port forwarding. Example: `argocd.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub host: Option<String>,
}

fn default_argocd_version() -> String {
    "10.1.1".to_owned()
}

impl Default for ArgoCd {
    fn default() -> Self {
        Self { version: default_argocd_version(), host: None }
    }
}

/// Devtron.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Devtron {
    /// Whether it is installed. Default: `false`. Example: `true`.
    #[serde(default)]
    pub enabled: bool,
}

/// How rendered manifests reach the repository: `None`, `Commit` or `PullRequest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Publish {
    /// Helix writes nothing to the repository.
    None,
    /// Helix commits to the branch.
    Commit,
    /// Helix opens a pull request and waits for the merge.
    #[default]
    PullRequest,
}

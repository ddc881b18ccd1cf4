//! `HelixPlatform`: one resource that describes a whole platform.
//!
//! The spec only says what is wanted. Rules here refuse at admission what can be judged from the resource alone; what
//! needs the provider's catalogue or arithmetic over machines is refused by the planner, with the same kind of message.

use crate::ai::Ai;
use crate::backup::Backups;
use crate::control_plane::{ControlPlane, Endpoint, WorkerPool};
use crate::data::Data;
use crate::dns::{Acme, Dns};
use crate::gitops::GitOps;
use crate::ownership::{Adoption, OnDelete};
use crate::phase::PhaseName;
use crate::provider::ProviderSpec;
use crate::security::{Encryption, SecurityWeave};
use crate::status::HelixPlatformStatus;
use crate::supply_chain::{ComponentOverride, PlanPolicy, SupplyChain};
use crate::upgrade::{Remediation, Upgrade};
use crate::versions::Versions;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the platform is to be. An absent section installs nothing of it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "helix.dev",
    version = "v1alpha1",
    kind = "HelixPlatform",
    namespaced,
    status = "HelixPlatformStatus",
    derive = "PartialEq",
    shortname = "hp",
    category = "helix",
    doc = "A whole platform: Hetzner servers, a Talos Kubernetes cluster on them, and everything that runs in it, built phase by phase and kept that way.",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name becomes part of every server's name: write at most 40 lower-case letters, digits and dashes, beginning and ending with a letter or digit"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "First requested phase that is not Ready, or Ready"),
    printcolumn(name = "Machines", type_ = "string", json_path = ".status.machines.summary", description = "Machines that are ready, of those desired"),
    printcolumn(name = "Talos", type_ = "string", json_path = ".spec.versions.talos", description = "Wanted Talos version"),
    printcolumn(name = "Kubernetes", type_ = "string", json_path = ".spec.versions.kubernetes", description = "Wanted Kubernetes version"),
    printcolumn(name = "Cost", type_ = "string", json_path = ".status.cost.monthly", description = "Cost per month, net"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the platform was created"),
    printcolumn(name = "Waiting", type_ = "string", json_path = ".status.waitingFor", description = "What the platform is waiting for")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.provider.hetzner) == has(oldSelf.provider.hetzner)")
        .message("the provider's kind can't be changed: create another platform at the other provider").field_path(".provider"),
    validation = Rule::new("has(self.acme) || !has(self.securityWeave) || !has(self.securityWeave.ingress) || !has(self.securityWeave.ingress.domains) || !self.securityWeave.ingress.domains.exists(d, d.issuer == 'letsencrypt')")
        .message("a domain's issuer is letsencrypt: write acme: {email: ops@example.com}, or another issuer")
)]
pub struct HelixPlatformSpec {
    /// Whether the platform is left alone: nothing is changed, status says so. Default: `false`. Example: `true`.
    #[serde(default)]
    pub paused: bool,
    /// Last phase that is built; later ones are `NotRequested`: `HardenedCore`, `ImmutableSubstrate`, `SecurityWeave`,
    /// `GitOpsControlPlane`, `StateAndDataHa` or `AiAgentic`. Default: `AiAgentic`. Example: `ImmutableSubstrate`.
    #[serde(default)]
    pub until_phase: PhaseName,
    /// Where the operator runs: `External` (in another cluster) or `Self` (in this one, after a pivot). Default: `External`.
    /// Example: `Self`.
    #[serde(default)]
    pub management: Management,
    /// Which work waits for the annotation `helix.dev/approve`: none with `Automatic`, what replaces or destroys with
    /// `ManualForDestructive`, all with `Manual`. Default: `ManualForDestructive`. Example: `Automatic`.
    #[serde(default)]
    pub approval: ApprovalMode,
    /// Versions of Talos and Kubernetes. Default: `{talos: v1.13.9, kubernetes: v1.36.3}`. Example: `{kubernetes: v1.35.9}`.
    #[serde(default)]
    pub versions: Versions,
    /// Where the machines run. Required. Example: `{hetzner: {tokenSecretRef: {name: hcloud}, apiAllowlist:
    /// [203.0.113.7/32]}}`.
    pub provider: ProviderSpec,
    /// How callers reach the Kubernetes API. Default: `{type: LoadBalancer, public: true}`. Example: `{type: LoadBalancer,
    /// public: false}`.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// The machines that run etcd and the Kubernetes control plane. Required. Example: `{replicas: 3, placements:
    /// [{serverType: cax21, location: fsn1}]}`.
    pub control_plane: ControlPlane,
    /// Groups of worker machines. Default: `[]`; the control planes then run workloads, too. Example: `[{name: general,
    /// replicas: 3, placements: [{serverType: cx33, location: fsn1}]}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("self.all(p, self.exists_one(q, q.name == p.name))")
            .message("has two pools of one name: write each pool once, or give one another name")
    )]
    pub worker_pools: Vec<WorkerPool>,
    /// Encryption of the machines' disks; decided at creation. Default: `{disk: None}`. Example: `{disk: NodeId}`.
    #[serde(default)]
    pub encryption: Encryption,
    /// Who writes DNS records. Default: `{provider: Manual}`. Example: `{provider: Hetzner, zone: example.com}`.
    #[serde(default)]
    pub dns: Dns,
    /// Account for certificates; required with an issuer `letsencrypt`. Default: none. Example: `{email: ops@example.com}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// Pace of changes that disrupt machines. Default: `{maxUnavailable: 1, drainTimeoutSeconds: 300}`. Example: `{window:
    /// "Sat 02:00-05:00 UTC"}`.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// When unhealthy machines are replaced. Default: `{enabled: true, unhealthyAfterSeconds: 300, maxUnhealthy: 40%}`.
    /// Example: `{enabled: false}`.
    #[serde(default)]
    pub remediation: Remediation,
    /// Mesh, ingress and sign-on; the pod network, the cloud controller manager and default-deny come with the phase anyway.
    /// Default: none. Example: `{cilium: {hubble: false}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_weave: Option<SecurityWeave>,
    /// Argo CD and the repository it syncs. Default: none is installed. Example: `{repository: {url:
    /// https://github.com/acme/platform.git}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitops: Option<GitOps>,
    /// Volumes and databases. Default: none is installed. Example: `{postgres: [{name: main}]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// Models and agents. Default: none is installed. Example: `{ollama: {models: ["llama3.2:3b"]}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<Ai>,
    /// Overrides of the component catalogue, by the component's name. Default: `{}`. Example: `{ollama: {version: 1.77.0}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub components: BTreeMap<String, ComponentOverride>,
    /// Backups of the platform itself. Default: none. Example: `{etcd: {schedule: "*/30 * * * *", s3: {endpoint:
    /// "https://fsn1.your-objectstorage.com", bucket: acme-backups, credentialsSecretRef: {name: backup-s3}}}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backups>,
    /// Signatures that images and charts must have. Default: none is asked for. Example: `{verify: [{match: "*", policy:
    /// Warn}]}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supply_chain: Option<SupplyChain>,
    /// Policies that judge every plan before it is applied. Default: `[]`. Example: `[{name: prod-guardrails,
    /// regoConfigMapRef: {name: guardrails}}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub policies: Vec<PlanPolicy>,
    /// Existing resources of the provider that become the platform's; nothing is adopted unnamed. Default: `[]`. Example:
    /// `[{kind: Server, id: 123, machine: dev-cp-0}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub adopt: Vec<Adoption>,
    /// What is kept when the platform is deleted. Default: `{}`, nothing. Example: `{retain: [Volumes]}`.
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// Where the operator of a platform runs: `External` or `Self`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Management {
    /// In another cluster, or on somebody's machine.
    #[default]
    External,
    /// In the platform's own cluster.
    #[serde(rename = "Self")]
    SelfManaged,
}

/// Which work waits for an approval: `Automatic`, `ManualForDestructive` or `Manual`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalMode {
    /// None.
    Automatic,
    /// What replaces or destroys.
    #[default]
    ManualForDestructive,
    /// All.
    Manual,
}

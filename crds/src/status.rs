//! The status of a platform: what was observed, what is planned, and what it waits for.
//!
//! Status has one writer and is written once per pass; nothing in it is read back as a fact, but for `approval`,
//! `adopted`, `services` and `teardown`.

use crate::ownership::AdoptedResource;
use crate::phase::{PhaseName, PhaseState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is known of the platform.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelixPlatformStatus {
    /// Generation of the spec that this status is about. Example: `7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The first requested phase that is not Ready, or `Ready`. Example: `StateAndDataHa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// State of every phase, first to last. Example: `[{name: HardenedCore, state: Ready}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub phases: Vec<PhaseStatus>,
    /// What the platform is waiting for, in one line. Example: `approval of 1 replacement (digest 4f1c0a7d)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// The work that is planned. Example: `{steps: 4, disruption: Reboot, apiCalls: 3}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// The destructive work that was approved. Example: `{digest: 4f1c0a7d, generation: 7}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalStatus>,
    /// Numbers of machines. Example: `{desired: 6, ready: 5, updated: 6, summary: 5/6}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machines: Option<MachineCounts>,
    /// What the platform costs. Example: `{monthly: 58.17 EUR}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostStatus>,
    /// The token's rate limit, shared by all platforms of one project. Example: `{limit: 3600, remaining: 3411}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_budget: Option<ApiBudget>,
    /// URL of the Kubernetes API. Example: `https://203.0.113.80:6443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Names of the Secrets that Helix keeps for the platform. Example: `{kubeconfig: prod-kubeconfig}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<SecretNames>,
    /// What of `spec.adopt` has been carried out. Example: `[{kind: Network, id: 123}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<AdoptedResource>,
    /// Snapshots of etcd. Example: `{bucket: acme-backups, snapshots: 14, newest: {takenAt: 2026-11-21T09:30:00Z}}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupStatus>,
    /// Services of type LoadBalancer that the cluster has had: a load balancer made for one of them is known by its UID when
    /// nobody in the cluster can be asked any more. Example: `[{uid: 9b1e22c4-…, name: shop/web}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub services: Vec<RecordedService>,
    /// What a deletion has found and what became of it. Example: `{left: [network prod], deletedCount: 14}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teardown: Option<TeardownStatus>,
    /// `Ready`, one per phase, `Progressing`, `Degraded`, `PlanApproved`, `BudgetAvailable`, `VersionsSupported`,
    /// `EtcdBackedUp` where snapshots of etcd are asked for, and `DatabasesBackedUp` where backups of databases are. Example:
    /// `[{type: Ready, status: "True", reason: AllPhasesReady}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// State of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseStatus {
    /// The phase. Example: `HardenedCore`.
    pub name: PhaseName,
    /// Its state: `Pending`, `Progressing`, `Ready`, `Blocked`, `Unknown` or `NotRequested`. Example: `Ready`.
    pub state: PhaseState,
    /// When it entered this state. Example: `2026-11-21T09:30:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What it waits for or what blocks it, with the remedy. Example: `waiting for server dev-cp-1 to boot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What its state is judged by. Example: `[{what: "etcd has 3 of 3 voters healthy"}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// One observed fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The fact, in words. Example: `etcd has 3 of 3 voters healthy`.
    pub what: String,
    /// When it was observed. Example: `2026-11-21T09:30:00Z`.
    pub observed_at: Time,
}

/// The work that is planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Digest of the work that needs an approval, which the annotation `helix.dev/approve` names; absent where none does.
    /// Example: `4f1c0a7d95be2c11`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Number of steps. Example: `4`.
    #[serde(default)]
    pub steps: u32,
    /// The worst that a step does to a machine: `None`, `Reboot`, `Drain`, `Replace`, `Downtime` or `Destroy`. Example: `Reboot`.
    #[serde(default)]
    pub disruption: Disruption,
    /// Calls of the provider's API that the steps need. Example: `3`.
    #[serde(default)]
    pub api_calls: u32,
    /// What the steps change in the monthly cost, net. Example: `+12.40 EUR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_cost_delta: Option<String>,
    /// How long the steps typically take until their effect shows; they are done together. Example: `39`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<u32>,
    /// How much work waits for an approval; none of it is counted above. Example: `2`.
    #[serde(default)]
    pub awaiting_approval: u32,
    /// What waits for an approval, then the steps; the first 20 of both. Example: `[{step: create, target: server dev-cp-1}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub items: Vec<PlanItem>,
}

/// One planned step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanItem {
    /// What is done, in the imperative. Example: `create`.
    pub step: String,
    /// Object that it changes. Example: `server dev-cp-1`.
    pub target: String,
    /// What it does to a machine: `None`, `Reboot`, `Drain`, `Replace`, `Downtime` or `Destroy`. Example: `None`.
    #[serde(default)]
    pub disruption: Disruption,
    /// Calls of the provider's API that it needs. Example: `1`.
    #[serde(default)]
    pub api_calls: u32,
    /// What it changes in the monthly cost, net; absent where it changes nothing. Example: `+5.49 EUR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_cost_delta: Option<String>,
    /// How long it typically takes until its effect shows; absent where that is at once or unknown. Example: `39`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_seconds: Option<u32>,
    /// Whether it waits for an approval. Example: `true`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_approval: bool,
    /// Why it is needed. Example: `slot 1 of pool cp has no server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What work does to what runs, from harmless to worst: `None`, `Reboot`, `Drain`, `Replace`, `Downtime`, `Destroy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Disruption {
    /// Nothing.
    #[default]
    None,
    /// A machine restarts.
    Reboot,
    /// A machine's pods move first.
    Drain,
    /// A machine is deleted and made anew.
    Replace,
    /// The Kubernetes API is away for a while.
    Downtime,
    /// Something is deleted for good.
    Destroy,
}

impl Disruption {
    /// The word as it is written in status and plans.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Reboot => "Reboot",
            Self::Drain => "Drain",
            Self::Replace => "Replace",
            Self::Downtime => "Downtime",
            Self::Destroy => "Destroy",
        }
    }
}

impl fmt::Display for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The destructive work that was approved; a later plan runs while its own destructive work is a subset of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// Digest of the approved set. Example: `4f1c0a7d`.
    pub digest: String,
    /// The approved set. Example: `[{object: dev-cp-1, digest: 9b1e22c4, disruption: Replace}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ApprovalItem>,
    /// Generation of the spec that the approval is for. Example: `7`.
    pub generation: i64,
}

/// One piece of approved work.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalItem {
    /// Object that is changed. Example: `dev-cp-1`.
    pub object: String,
    /// Digest of what is wanted of it. Example: `9b1e22c4`.
    pub digest: String,
    /// What happens to it: `None`, `Reboot`, `Drain`, `Replace`, `Downtime` or `Destroy`. Example: `Replace`.
    pub disruption: Disruption,
}

/// Numbers of machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineCounts {
    /// Machines that the spec asks for. Example: `6`.
    pub desired: u32,
    /// Machines that are healthy. Example: `5`.
    pub ready: u32,
    /// Machines that run the wanted version and config. Example: `6`.
    pub updated: u32,
    /// Ready and desired, for `kubectl get`. Example: `5/6`.
    pub summary: String,
}

impl MachineCounts {
    /// Counts with their summary.
    #[must_use]
    pub fn new(desired: u32, ready: u32, updated: u32) -> Self {
        Self { desired, ready, updated, summary: format!("{ready}/{desired}") }
    }
}

/// What the platform costs, net.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostStatus {
    /// Cost per month with its currency. Example: `58.17 EUR`.
    pub monthly: String,
    /// Where the prices are from. Example: `Hetzner pricing of 2026-11-21`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The rate limit of the provider's token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiBudget {
    /// Most calls that can be saved up. Example: `3600`.
    pub limit: u32,
    /// Calls that are left. Example: `3411`.
    pub remaining: u32,
    /// When all calls are available again. Example: `2026-11-21T09:33:09Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
}

/// Names of the Secrets that Helix keeps in the platform's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretNames {
    /// Secret with the cluster's keys and tokens. Example: `prod-secrets`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Secret with an administrator's kubeconfig. Example: `prod-kubeconfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// Secret with an administrator's talosconfig. Example: `prod-talosconfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talosconfig: Option<String>,
    /// When the certificate in the kubeconfig ends; it is renewed 30 days before. Example: `2027-11-21T09:30:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig_expires_at: Option<Time>,
    /// When the certificates in the talosconfig end; they are renewed 30 days before. Example: `2027-11-21T09:30:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talosconfig_expires_at: Option<Time>,
    /// The rotation of certificate authorities that was begun last. Example: `{request: "2026-11", stage: Issue}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
}

/// A rotation of certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// The value of the annotation `helix.dev/rotate-ca` that asked for it. Example: `2026-11`.
    pub request: String,
    /// How far it has come: `Accept`, `Issue`, `Retire` or `Done`. Example: `Issue`.
    pub stage: String,
    /// When it came there. Example: `2026-11-21T09:30:00Z`.
    pub since: Time,
}

/// Snapshots of etcd, as the bucket told last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Bucket that they are in. Example: `acme-backups`.
    pub bucket: String,
    /// What the key of each begins with. Example: `prod/0b1f6a52-6a0e-4c0e-9d7e-000000000001/`.
    pub folder: String,
    /// How many there are. Example: `14`.
    #[serde(default)]
    pub snapshots: u32,
    /// The newest; absent where there is none. Example: `{takenAt: 2026-11-21T09:30:00Z, sizeBytes: 20971520}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<SnapshotStatus>,
    /// When the next one is due. Example: `2026-11-21T10:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// When the bucket told. Example: `2026-11-21T09:31:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Time>,
}

/// One snapshot of etcd.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotStatus {
    /// Its key, which the annotation `helix.dev/restore-from` may name. Example: `prod/0b1f6a52/20261121T093000Z.etcd.age`.
    pub key: String,
    /// When it was taken. Example: `2026-11-21T09:30:00Z`.
    pub taken_at: Time,
    /// Its size, encrypted. Example: `20971520`.
    pub size_bytes: u64,
}

/// A Service of type LoadBalancer of the platform's cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedService {
    /// Its UID, which its load balancer carries as a label. Example: `9b1e22c4-0000-4000-8000-000000000000`.
    pub uid: String,
    /// Its namespace and name. Example: `shop/web`.
    pub name: String,
}

impl RecordedService {
    /// Services that a status holds at most.
    pub const MOST: usize = 500;
}

/// What a deletion has found and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeardownStatus {
    /// When Helix began; what the cluster is given to remove its own is counted from here. Example: `2026-11-21T09:30:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// What is still there, at most 500. Nothing is deleted before it is listed here. Example: `[network prod]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub left: Vec<String>,
    /// What is gone, the first 500 by name. Example: `[server prod-cp-0]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub deleted: Vec<String>,
    /// How much is gone, listed or not. Example: `14`.
    #[serde(default)]
    pub deleted_count: u32,
    /// What stays where it is, and why. Example: `[volume pvc-1 (spec.onDelete.retain)]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub kept: Vec<String>,
}

impl TeardownStatus {
    /// Names that a list holds at most.
    pub const LONGEST_LIST: usize = 500;
}

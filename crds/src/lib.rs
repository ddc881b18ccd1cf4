//! `HelixPlatform` and `HelixMachine`: the resources of group `helix.dev`, their admission rules and defaults.
//!
//! The types are the contract with users, nothing more: they hold what is written and what is shown. Judging a spec
//! against the provider's catalogue, and every decision, is the planner's. Each default stands in one function that both
//! the schema and the parser use, so a platform read from a file means the same as one read from an API server.

// `KubeSchema` copies each struct, `pub` included, into the body of a function.
#![allow(unreachable_pub)]
// Each printer column has a type, and clippy takes the second for a slip.
#![allow(clippy::duplicated_attributes)]

mod ai;
mod backup;
mod control_plane;
mod data;
mod dns;
mod gitops;
pub mod labels;
mod machine;
mod ownership;
mod phase;
mod platform;
mod provider;
mod reason;
mod reference;
mod schema;
mod security;
mod status;
mod supply_chain;
mod upgrade;
mod versions;

pub use ai::{Ai, LangGraph, Ollama, SteelBrowser};
pub use backup::{Backup, Backups};
pub use control_plane::{
    Autoscale, ControlPlane, Endpoint, EndpointType, MachineConfigPatch, Placement, PoolStorage, Spread, Taint,
    TaintEffect, WorkerPool,
};
pub use data::{Data, Longhorn, Postgres, PostgresRecovery, Redis};
pub use dns::{Acme, Dns, DnsProvider};
pub use gitops::{ArgoCd, Devtron, GitOps, GitRepository, Publish};
pub use machine::{HelixMachine, HelixMachineSpec, HelixMachineStatus, MachineAddresses};
pub use ownership::{AdoptedKind, AdoptedResource, Adoption, OnDelete, Retained};
pub use phase::{PhaseName, PhaseState};
pub use platform::{ApprovalMode, HelixPlatform, HelixPlatformSpec, Management};
pub use provider::{HetznerImage, HetznerNetwork, HetznerProvider, ProviderSpec};
pub use reason::{REASONS, Reason, Tone};
pub use reference::{ConfigMapKeyRef, S3Target, SecretKeyRef, SecretRef};
pub use security::{
    AllowedFlow, Authentik, Cilium, DefaultDeny, DiskEncryption, Encryption, FlowPeer, FlowPort, FlowProtocol, Ingress,
    IngressAuth, IngressDomain, Netbird, OidcClients, PodEncryption, SecurityWeave, ServiceBackend,
};
pub use status::{
    ApiBudget, ApprovalItem, ApprovalStatus, BackupStatus, CostStatus, Disruption, Evidence, HelixPlatformStatus,
    MachineCounts, PhaseStatus, PlanItem, PlanStatus, RecordedService, RotationStatus, SecretNames, SnapshotStatus,
    TeardownStatus,
};
pub use supply_chain::{ComponentOverride, KeylessIdentity, PlanPolicy, SupplyChain, VerifyPolicy, VerifyRule};
pub use upgrade::{Remediation, Upgrade};
pub use versions::Versions;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Both resource definitions, as an API server takes them; what `CustomResourceExt::crd` returns still has Rust's accent.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![schema::plain(HelixPlatform::crd()), schema::plain(HelixMachine::crd())]
}

//! Facts from the store, from Talos, from etcd and from the workload cluster's API.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::MachineName;

/// What the store holds for one platform. No secret is in it: of the bundle only its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// The secret bundle, if one is stored.
    pub bundle: Option<BundleFacts>,
    /// The record that says which server etcd was bootstrapped on.
    pub bootstrap: Option<BootstrapRecord>,
    /// The stored administrator's kubeconfig.
    pub kubeconfig: Option<CredentialFacts>,
    /// The stored administrator's talosconfig.
    pub talosconfig: Option<CredentialFacts>,
}

/// What may be known of a secret bundle without holding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFacts {
    /// Digest of its content.
    pub digest: String,
}

/// The one fact about a platform's past that is remembered: where etcd was bootstrapped. Created, never updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BootstrapRecord {
    /// The machine.
    pub machine: MachineName,
    /// The server that was this machine then; retries go to that server only.
    pub server_id: u64,
    /// When it was written.
    pub at: Timestamp,
}

/// A stored client configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFacts {
    /// The endpoints it names.
    pub endpoints: Vec<String>,
    /// When its certificate ends.
    pub expires_at: Timestamp,
    /// Digest of the bundle whose authority signed it.
    pub bundle_digest: String,
}

/// Where a configured machine is in its life, as Talos' `MachineStatus` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineStage {
    /// Starting up, or waiting for etcd to be bootstrapped.
    Booting,
    /// In service.
    Running,
    /// On its way through a reboot.
    Rebooting,
    /// Any other stage: installing, upgrading, resetting, shutting down, or one that is new to us.
    Other(String),
}

/// A Talos service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// As in `etcd`, `kubelet`, `apid`.
    pub id: String,
    /// As in `Running`.
    pub state: String,
    /// What its health check says; `None` where it is unknown.
    pub healthy: Option<bool>,
}

/// What a machine's Talos says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TalosFacts {
    /// It runs without a configuration and waits for one.
    Maintenance {
        /// Its version, as in `v1.13.9`.
        version: String,
    },
    /// It runs the configuration it was given.
    Configured {
        /// Its version, as in `v1.13.9`.
        version: String,
        /// Where it is in its life.
        stage: MachineStage,
        /// Whether Talos counts itself as ready.
        ready: bool,
        /// Its services.
        services: Vec<ServiceState>,
    },
}

impl TalosFacts {
    /// Whether the service runs and is not known to be unhealthy.
    #[must_use]
    pub fn serves(&self, service: &str) -> bool {
        self.running(service).is_some_and(|found| found.healthy != Some(false))
    }

    /// Whether the service runs and is known to be unhealthy.
    #[must_use]
    pub fn is_unhealthy(&self, service: &str) -> bool {
        self.running(service).is_some_and(|found| found.healthy == Some(false))
    }

    /// Whether the service runs, healthy or not.
    #[must_use]
    pub fn runs(&self, service: &str) -> bool {
        self.running(service).is_some()
    }

    fn running(&self, service: &str) -> Option<&ServiceState> {
        match self {
            Self::Maintenance { .. } => None,
            Self::Configured { services, .. } => services.iter().find(|s| s.id == service && s.state == "Running"),
        }
    }

    /// The version it runs.
    #[must_use]
    pub fn version(&self) -> &str {
        match self {
            Self::Maintenance { version } | Self::Configured { version, .. } => version,
        }
    }
}

/// One member of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdMember {
    /// Etcd's id of it.
    pub id: u64,
    /// The host name under which it joined: its machine's name.
    pub hostname: String,
    /// Whether it still learns; a learner has no vote.
    pub learner: bool,
}

/// The etcd membership.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EtcdFacts {
    /// All members, learners included.
    pub members: Vec<EtcdMember>,
}

/// A node's taint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeTaint {
    /// Key.
    pub key: String,
    /// Value, empty where there is none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A node of the workload cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name: the machine's.
    pub name: String,
    /// `spec.providerID`, as in `hcloud://123`.
    pub provider_id: Option<String>,
    /// Whether its `Ready` condition is true.
    pub ready: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The digest of the machine configuration it runs: its annotation `helix.dev/config`.
    pub config_digest: Option<String>,
    /// Taints.
    pub taints: Vec<NodeTaint>,
    /// Its kubelet's version, as in `v1.36.3`.
    pub kubelet_version: String,
    /// Its address in the private network.
    pub internal_ip: Option<Ipv4Addr>,
}

/// The workload cluster, as its API server tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KubernetesFacts {
    /// Whether the API answered through the platform's own endpoint (else through a control plane directly).
    pub through_endpoint: bool,
    /// All nodes.
    pub nodes: Vec<NodeFacts>,
}

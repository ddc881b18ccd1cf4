//! Facts from the store, from Talos, from etcd and from the workload cluster's API.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::RestoreRecord;
use crate::data_gate::DataFacts;
use crate::disruption::Mark;
use crate::names::MachineName;
use crate::owned::Owned;
use crate::secrets::RotationFacts;

/// What the store holds for one platform. No secret is in it: of the bundle only its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreFacts {
    /// The secret bundle, if one is stored.
    pub bundle: Option<BundleFacts>,
    /// The record that says which server etcd was bootstrapped on.
    pub bootstrap: Option<BootstrapRecord>,
    /// The restore that was begun last.
    pub restore: Option<RestoreRecord>,
    /// The stored administrator's kubeconfig.
    pub kubeconfig: Option<CredentialFacts>,
    /// The stored administrator's talosconfig.
    pub talosconfig: Option<CredentialFacts>,
    /// The rotation of authorities that was begun last, if there ever was one.
    pub rotation: Option<RotationFacts>,
}

impl StoreFacts {
    /// Whether nothing of the platform is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { bundle, bootstrap, restore, kubeconfig, talosconfig, rotation } = self;
        let records = bootstrap.is_some() || restore.is_some() || rotation.is_some();
        bundle.is_none() && !records && kubeconfig.is_none() && talosconfig.is_none()
    }
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

/// Talos' name of the condition that the machine's own node is Ready.
const NODE_READY: &str = "nodeReady";

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
        /// What keeps it from being ready, by the names that Talos gives its conditions: `time`, `network`, `services`,
        /// `staticPods`, `nodeReady`.
        unmet: Vec<String>,
        /// Its services.
        services: Vec<ServiceState>,
    },
}

impl TalosFacts {
    /// Whether the service runs and is known to be healthy.
    #[must_use]
    pub fn serves(&self, service: &str) -> bool {
        self.running(service).is_some_and(|found| found.healthy == Some(true))
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

    /// Why the machine is not healthy, in words; `None` where it is.
    ///
    /// That its node is not Ready is no ailment of the machine: without a pod network none is.
    #[must_use]
    pub fn ailment(&self) -> Option<String> {
        let Self::Configured { stage, ready, unmet, .. } = self else {
            return Some("it has no configuration".to_owned());
        };
        match stage {
            MachineStage::Running => {}
            MachineStage::Booting => return Some("it is booting".to_owned()),
            MachineStage::Rebooting => return Some("it is rebooting".to_owned()),
            MachineStage::Other(stage) => return Some(format!("it is in the stage {stage}")),
        }
        let counting: Vec<&str> = unmet.iter().map(String::as_str).filter(|name| *name != NODE_READY).collect();
        match (ready, counting.as_slice()) {
            (false, []) if unmet.is_empty() => Some("it is not ready and does not say why".to_owned()),
            (_, []) => None,
            (_, counting) => Some(format!("unmet: {}", counting.join(", "))),
        }
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

/// What a node's `Ready` condition says, and since when it does not say yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It takes pods.
    Ready,
    /// Its kubelet says that it cannot take pods, as long as there is no pod network.
    NotReady {
        /// Since when, if that is told.
        since: Option<Timestamp>,
    },
    /// Its kubelet has stopped telling anything.
    Silent {
        /// Since when, if that is told.
        since: Option<Timestamp>,
    },
}

/// The versions of Kubernetes' own parts on a control plane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControlPlaneVersions {
    /// Of the API server.
    pub api_server: Version,
    /// Of the controller manager and the scheduler.
    pub controllers: Version,
}

impl fmt::Display for ControlPlaneVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_server, self.controllers)
    }
}

/// A text that tells no versions of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not tell the versions of an API server and of controllers")]
pub struct NotVersions;

impl FromStr for ControlPlaneVersions {
    type Err = NotVersions;

    fn from_str(text: &str) -> Result<Self, NotVersions> {
        let (api_server, controllers) = text.split_once(' ').ok_or(NotVersions)?;
        let version = |text: &str| Version::parse(text).map_err(|_| NotVersions);
        Ok(Self { api_server: version(api_server)?, controllers: version(controllers)? })
    }
}

/// A node of the workload cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name: the machine's.
    pub name: String,
    /// `spec.providerID`, as in `hcloud://123`.
    pub provider_id: Option<String>,
    /// What its `Ready` condition says.
    pub readiness: Readiness,
    /// Whether no further pod is scheduled to it.
    pub unschedulable: bool,
    /// That Helix is disturbing its machine: its annotation `helix.dev/disruption`.
    pub mark: Option<Mark>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The digest of the machine configuration it runs: its annotation `helix.dev/config`.
    pub config_digest: Option<String>,
    /// What its machine configuration says of the control plane: its annotation `helix.dev/control-plane`.
    pub control_plane: Option<ControlPlaneVersions>,
    /// Taints.
    pub taints: Vec<NodeTaint>,
    /// What Helix has set on it through the Kubernetes API: its annotation `helix.dev/owned`.
    pub owned: Owned,
    /// Its kubelet's version, as in `v1.36.3`.
    pub kubelet_version: String,
    /// Its address in the private network.
    pub internal_ip: Option<Ipv4Addr>,
}

/// A pod that holds up a drain: neither of a `DaemonSet`, nor a static pod, nor finished.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it has been told to end.
    pub leaving: bool,
}

/// A Service of type LoadBalancer: the cloud controller manager makes a load balancer for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServiceFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, which the load balancer carries as a label.
    pub uid: String,
    /// Since when it is being deleted, if it is; it is there until its load balancer is gone.
    pub leaving: Option<Timestamp>,
    /// IPv4 addresses of its load balancer, once it tells them.
    pub addresses: Vec<Ipv4Addr>,
}

/// A claim to a volume of Hetzner's that goes with the claim (its reclaim policy is `Delete`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ClaimFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Since when it is being deleted, if it is; told until its volume is gone.
    pub leaving: Option<Timestamp>,
}

/// The workload cluster, as its API server tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KubernetesFacts {
    /// Whether the API answered through the platform's own endpoint (else through a control plane directly).
    pub through_endpoint: bool,
    /// All nodes.
    pub nodes: Vec<NodeFacts>,
    /// The pods that have still to leave, by the name of their node; only marked nodes are asked about.
    pub pods: BTreeMap<String, Vec<PodFacts>>,
    /// All Services of type LoadBalancer.
    pub services: Vec<ServiceFacts>,
    /// All claims whose volumes go with them; asked for in a teardown alone.
    pub claims: Vec<ClaimFacts>,
    /// Replicated data; asked for while a node is marked. Missing where that could not be told.
    pub data: Option<DataFacts>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ailment(stage: MachineStage, ready: bool, unmet: &[&str]) -> Option<String> {
        let unmet = unmet.iter().map(|name| (*name).to_owned()).collect();
        TalosFacts::Configured { version: "v1.13.9".into(), stage, ready, unmet, services: Vec::new() }.ailment()
    }

    #[test]
    fn a_machine_is_healthy_without_a_pod_network_but_not_without_its_static_pods() {
        assert_eq!(ailment(MachineStage::Running, true, &[]), None);
        assert_eq!(ailment(MachineStage::Running, false, &["nodeReady"]), None);
        let told = ailment(MachineStage::Running, false, &["services", "staticPods", "nodeReady"]);
        assert_eq!(told.as_deref(), Some("unmet: services, staticPods"));
        for unmet in ["time", "network", "services", "staticPods", "one that is new to us"] {
            assert!(ailment(MachineStage::Running, false, &[unmet]).is_some(), "{unmet}");
        }
        assert!(ailment(MachineStage::Running, false, &[]).is_some(), "it does not know yet");
        assert!(ailment(MachineStage::Booting, true, &[]).is_some());
    }
}

//! The facts that a plan is made from: what Hetzner, the store, Talos, etcd and Kubernetes said, and when.
//!
//! A fact may be missing, and then says why; nothing here is remembered from an earlier turn, but for [`Setback`]s,
//! which are observations of what an attempt met and which expire.

mod adoptee;
mod backups;
mod cloud;
mod cluster;
mod components;
mod dns;
mod gitops;
mod mesh;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use adoptee::{Adoptee, Named};
pub use backups::{BackupFacts, Candidate, Flaw, RestoreRecord, RestoreTarget, Snapshot, SnapshotFailure};
pub use cloud::{
    CloudFacts, Firewall, FirewallRule, Image, Labelled, LoadBalancer, LoadBalancerService, LoadBalancerTarget,
    Network, PlacementGroup, PrivateNet, Server, ServerStatus, SshKey, Tags, TargetHealth, Unlabelled, Volume,
    is_adopted,
};
pub use cluster::{
    BootstrapRecord, BundleFacts, ClaimFacts, ControlPlaneVersions, CredentialFacts, EtcdFacts, EtcdMember,
    KubernetesFacts, MachineStage, NodeFacts, NodeTaint, NotVersions, PodFacts, Readiness, ServiceFacts, ServiceState,
    StoreFacts, TalosFacts,
};

pub use components::{
    ComponentFacts, Components, Health, Installed, ObjectId, ObjectState, Rendered, SavedDatabase, SecretState, Surplus,
};
pub use dns::{APEX, DnsFacts, Record, host};
pub use gitops::{Application, GitOpsFacts, Published, TreeFacts};
pub use mesh::{MeshFacts, MeshNetwork, MeshPeer, MeshSetupKey};

use crate::names::MachineName;

/// Something that was asked for outside: its value and when it was true, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact<T> {
    /// The answer, and when it was given.
    Known {
        /// What was answered.
        value: T,
        /// When.
        at: Timestamp,
    },
    /// No answer, and why.
    Missing(Missing),
}

/// Why a fact is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There was nobody to ask yet: what would answer has not been made.
    NotThereYet,
    /// It was asked and did not answer.
    Unreachable {
        /// Who was asked, in words.
        who: String,
        /// What happened, without secrets.
        why: String,
    },
    /// It answered that we may not ask.
    Refused {
        /// Who was asked, in words.
        who: String,
        /// Its reason, without secrets.
        why: String,
        /// What the user can do about it.
        remedy: String,
    },
}

impl<T> Fact<T> {
    /// A fact that is true at `at`.
    pub fn known(value: T, at: Timestamp) -> Self {
        Self::Known { value, at }
    }

    /// The value, if it is known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Missing(_) => None,
        }
    }

    /// The value to change in place (a forecast does so), if it is known.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known { value, .. } => Some(value),
            Self::Missing(_) => None,
        }
    }

    /// When it was observed, if it was.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Known { at, .. } => Some(*at),
            Self::Missing(_) => None,
        }
    }
}

/// Everything that is known about one platform and its surroundings at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What Hetzner holds for this platform.
    pub cloud: Fact<CloudFacts>,
    /// What `spec.adopt` names and the platform does not own yet, as Hetzner has it; nothing where Hetzner has it not.
    pub adoptees: BTreeMap<Named, Fact<Option<Adoptee>>>,
    /// What the store holds for this platform.
    pub store: Fact<StoreFacts>,
    /// What each machine's Talos says; a machine that was not asked is absent.
    pub talos: BTreeMap<MachineName, Fact<TalosFacts>>,
    /// The system extensions of each configured machine's image, as in `iscsi-tools`; asked for where something needs one.
    pub extensions: BTreeMap<MachineName, Fact<BTreeSet<String>>>,
    /// The etcd membership, as one healthy member sees it.
    pub etcd: Fact<EtcdFacts>,
    /// The workload cluster, as its API server tells.
    pub kubernetes: Fact<KubernetesFacts>,
    /// Who answers those whom the next stage of a rotation of authorities makes: asked for while one is under way.
    pub proofs: Proofs,
    /// What is known of its names.
    pub dns: DnsFacts,
    /// The mesh by which people come in; asked for where one is wanted.
    pub mesh: Fact<MeshFacts>,
    /// When Helix has come in by itself, without the load balancer; asked for where ports are to close.
    pub way_in: Option<Timestamp>,
    /// What is known of the components of the cluster.
    pub components: Components,
    /// What is in the platform's repository, and who syncs it.
    pub gitops: GitOpsFacts,
    /// What is in the bucket of backups.
    pub backups: BackupFacts,
    /// What users ask of single machines.
    pub intents: Intents,
    /// What recent attempts met.
    pub setbacks: Vec<Setback>,
}

/// Who has answered to certificates of the next stage of a rotation, and showed one that the next stage trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proofs {
    /// Machines, at Talos' API.
    pub machines: BTreeSet<MachineName>,
    /// Control planes, at the Kubernetes API.
    pub api_servers: BTreeSet<MachineName>,
}

/// What users ask of single machines, by `HelixMachine` and its annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intents {
    /// Servers, by Hetzner's id, whose machine is to be replaced: bound to the server, so that its successor is not
    /// replaced in turn.
    pub replace: BTreeSet<u64>,
    /// Machines that are to be left alone, whatever else is asked for.
    pub hold: BTreeSet<MachineName>,
}

impl Observed {
    /// A world in which nothing of the platform exists yet, as `helix plan` from nothing assumes it.
    #[must_use]
    pub fn nothing(cloud: CloudFacts, at: Timestamp) -> Self {
        Self {
            cloud: Fact::known(cloud, at),
            adoptees: BTreeMap::new(),
            store: Fact::known(StoreFacts::default(), at),
            talos: BTreeMap::new(),
            extensions: BTreeMap::new(),
            etcd: Fact::Missing(Missing::NotThereYet),
            kubernetes: Fact::Missing(Missing::NotThereYet),
            proofs: Proofs::default(),
            dns: DnsFacts { records: Fact::known(Vec::new(), at), resolved: BTreeMap::new() },
            mesh: Fact::known(MeshFacts::default(), at),
            way_in: None,
            components: Components::new(),
            gitops: GitOpsFacts::unknown(),
            backups: BackupFacts::unknown(),
            intents: Intents::default(),
            setbacks: Vec::new(),
        }
    }

    /// What Talos on `machine` said, if it answered.
    #[must_use]
    pub fn talos_of(&self, machine: &MachineName) -> Option<&TalosFacts> {
        self.talos.get(machine).and_then(Fact::value)
    }
}

/// An attempt that did not succeed, as the engine observed it. Kept in memory only, and only until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What was tried: [`crate::step::Step::target`] as text.
    pub target: String,
    /// What it met.
    pub kind: SetbackKind,
    /// When.
    pub at: Timestamp,
    /// From when on it is worth another try.
    pub until: Timestamp,
}

/// What an attempt met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetbackKind {
    /// This server type cannot be had in this location now.
    PlacementUnavailable {
        /// Hetzner's name of the type.
        server_type: String,
        /// Hetzner's name of the location.
        location: String,
    },
    /// A resource with our name exists and does not carry our platform's label.
    ForeignResource {
        /// Kind, as Hetzner calls it.
        kind: &'static str,
        /// The name that is taken.
        name: String,
    },
    /// A resource with our name exists and carries the label of another platform of our name.
    Namesake {
        /// Kind, as Hetzner calls it.
        kind: &'static str,
        /// The name that is taken.
        name: String,
    },
    /// A limit of the project stands in the way (`resource_limit_exceeded`).
    LimitExceeded {
        /// Hetzner's words.
        message: String,
    },
    /// The token may not do this (`unauthorized`, `forbidden`, `token_readonly`).
    NotPermitted {
        /// Hetzner's words.
        message: String,
    },
    /// It will be refused for as long as nobody changes what was asked for.
    Rejected {
        /// A stable reason, as in the error's `reason()`.
        reason: &'static str,
        /// The error, without secrets.
        message: String,
    },
    /// It was accepted, and its effect takes a while to show.
    UnderWay,
    /// Anything else that was answered; it is tried again after a while.
    Failed {
        /// A stable reason, as in the error's `reason()`.
        reason: String,
        /// The error, without secrets.
        message: String,
    },
}

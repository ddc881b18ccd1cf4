//! What a teardown goes by besides the facts: when it began, what is to stay, and which Services the cluster has had.
//!
//! It is made from the resource as it is written down, never from a specification that has to be valid: whatever was asked
//! for, a platform can be deleted.

use std::collections::BTreeSet;

use helix_crds::{HelixPlatform, Retained};
use jiff::Timestamp;

use crate::guard::{self, Guard};
use crate::step::ResourceKind;
use crate::validated::{MeshAccount, mesh_account};

/// How a platform goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// When Helix began with it.
    pub began: Timestamp,
    /// What is to stay: `spec.onDelete.retain`.
    pub retain: BTreeSet<Kept>,
    /// UIDs of the Services of type LoadBalancer that the cluster is recorded to have had.
    pub services: BTreeSet<String>,
}

/// What can be asked to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kept {
    /// Volumes with their data.
    Volumes,
    /// The API's load balancer, for its address.
    LoadBalancer,
}

impl Farewell {
    /// The way that this platform goes; it begins `now`, unless its status says that it has begun.
    #[must_use]
    pub fn of(platform: &HelixPlatform, now: Timestamp) -> Self {
        let status = platform.status.as_ref();
        let began = status.and_then(|status| status.teardown.as_ref()?.started_at.as_ref()).map(|time| time.0);
        let kept = |retained: &Retained| match retained {
            Retained::Volumes => Kept::Volumes,
            Retained::LoadBalancerIp => Kept::LoadBalancer,
        };
        let services = status.map(|status| status.services.as_slice()).unwrap_or_default();
        Self {
            began: began.unwrap_or(now),
            retain: platform.spec.on_delete.retain.iter().map(kept).collect(),
            services: services.iter().map(|service| service.uid.clone()).collect(),
        }
    }

    /// A way on which nothing stays, of a platform whose cluster is not known to have had any Service.
    #[must_use]
    pub fn plain(began: Timestamp) -> Self {
        Self { began, retain: BTreeSet::new(), services: BTreeSet::new() }
    }

    /// Whether what the platform has of this kind stays.
    #[must_use]
    pub fn keeps(&self, kind: ResourceKind) -> bool {
        let kept = match kind {
            ResourceKind::Volume => self.retain.contains(&Kept::Volumes),
            ResourceKind::LoadBalancer => self.retain.contains(&Kept::LoadBalancer),
            ResourceKind::Server
            | ResourceKind::PlacementGroup
            | ResourceKind::Firewall
            | ResourceKind::SshKey
            | ResourceKind::Network => false,
        };
        kept && guard::holds(Guard::RetainedStays)
    }
}

/// The account of the mesh that the platform may have something in, by its specification as it is written down.
#[must_use]
pub fn mesh(platform: &HelixPlatform) -> Option<MeshAccount> {
    mesh_account(&platform.spec)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::observed::{Server, ServerStatus, Tags};

    /// A farewell of nobody who keeps anything, with these Services recorded.
    pub(crate) fn farewell(services: &[&str]) -> Farewell {
        let services = services.iter().map(|uid| (*uid).to_owned()).collect();
        Farewell { services, ..Farewell::plain(Timestamp::UNIX_EPOCH) }
    }

    /// A server of that id.
    pub(crate) fn server(id: u64) -> Server {
        Server {
            id,
            name: format!("dev-general-{id}"),
            labels: Tags::new(),
            status: ServerStatus::Running,
            locked: false,
            server_type: "cx33".into(),
            location: "fsn1".into(),
            public_ipv4: None,
            private: Vec::new(),
            placement_group: None,
            firewalls: Vec::new(),
            created: None,
        }
    }

    #[test]
    fn only_what_is_named_stays() {
        let mut farewell = farewell(&[]);
        assert!(ResourceKind::TEARDOWN_ORDER.iter().all(|kind| !farewell.keeps(*kind)));
        farewell.retain = [Kept::Volumes].into();
        let kept: Vec<_> = ResourceKind::TEARDOWN_ORDER.into_iter().filter(|kind| farewell.keeps(*kind)).collect();
        assert_eq!(kept, [ResourceKind::Volume]);
    }
}

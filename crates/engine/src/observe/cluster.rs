//! Asking etcd and the Kubernetes API: whoever of the control planes can tell.

use std::collections::BTreeMap;

use helix_plan::names::MachineName;
use helix_plan::observed::{EtcdFacts, Fact, KubernetesFacts, Missing, TalosFacts};
use jiff::Timestamp;

use super::Access;
use crate::seams::Seams;

/// The membership of etcd, as the first control plane tells that runs it.
pub(super) async fn etcd(
    seams: &Seams,
    access: &Access,
    talos: &BTreeMap<MachineName, Fact<TalosFacts>>,
    now: Timestamp,
) -> Fact<EtcdFacts> {
    let mut last = Missing::NotThereYet;
    for control_plane in &access.control_planes {
        let serves = talos.get(&control_plane.machine).and_then(Fact::value).is_some_and(|t| t.serves("etcd"));
        let Some(route) = access.to_control_plane(control_plane.public).filter(|_| serves) else {
            continue;
        };
        match seams.talos.etcd_members(&route).await {
            Ok(members) => return Fact::known(EtcdFacts { members }, now),
            Err(error) => last = Missing::Unreachable { who: "etcd".to_owned(), why: error.to_string() },
        }
    }
    Fact::Missing(last)
}

/// The nodes of the cluster, through the front if it answers, else through a control plane.
pub(super) async fn kubernetes(seams: &Seams, access: &Access, now: Timestamp) -> Fact<KubernetesFacts> {
    let mut last = Missing::NotThereYet;
    for (route, through_endpoint) in access.to_cluster() {
        match seams.workload.nodes(&route).await {
            Ok(nodes) => {
                return Fact::known(KubernetesFacts { through_endpoint, nodes }, now);
            }
            Err(error) => {
                last = Missing::Unreachable { who: "the Kubernetes API".to_owned(), why: error.to_string() };
            }
        }
    }
    Fact::Missing(last)
}

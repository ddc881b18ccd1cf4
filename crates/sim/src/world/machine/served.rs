//! Which clusters' APIs answer, and to whom: machines belong together that know each other's authorities. While these are
//! rotated a machine is known by several.

use super::Guests;
use super::guest::Guest;

impl Guests {
    /// The API servers that answer, and the clusters that they serve.
    pub(super) fn served(&self) -> Served {
        let serving = self.guests.values().filter(|guest| guest.api_server_healthy());
        let known = serving.filter_map(|guest| Some((kubernetes_authorities(guest)?, guest.disk.etcd?.cluster)));
        let mut served = Served::default();
        for (authorities, cluster) in known {
            if !served.0.contains(&(authorities.clone(), cluster)) {
                served.0.push((authorities, cluster));
            }
        }
        served
    }
}

/// By what authorities a machine is known at the Kubernetes API.
#[derive(Clone, PartialEq, Eq)]
struct Authorities {
    /// The one that issues its own certificate.
    issuing: String,
    /// All that it lets in.
    known: Vec<String>,
}

fn kubernetes_authorities(guest: &Guest) -> Option<Authorities> {
    let cluster = guest.config()?.cluster()?;
    Some(Authorities { issuing: cluster.ca.crt.clone(), known: cluster.known_authorities() })
}

/// The API servers that answer: whom they know, and the cluster that they serve.
#[derive(Default)]
pub(super) struct Served(Vec<(Authorities, u64)>);

impl Served {
    /// Whether the cluster's API is served at all.
    pub(super) fn has(&self, cluster: u64) -> bool {
        self.0.iter().any(|(_, it)| *it == cluster)
    }

    /// The cluster that a kubelet is part of: kubelet and API server have to know each other's authority.
    pub(super) fn cluster_of(&self, guest: &Guest) -> Option<u64> {
        if self.0.is_empty() {
            return None;
        }
        let own = kubernetes_authorities(guest)?;
        let knows_each_other =
            |(api, _): &&(Authorities, u64)| api.known.contains(&own.issuing) && own.known.contains(&api.issuing);
        self.0.iter().find(knows_each_other).map(|(_, cluster)| *cluster)
    }
}

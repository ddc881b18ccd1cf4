//! What was made from inside the cluster, and whether that is proved: load balancers of its cloud controller manager.
//!
//! Proved is what two things say that have nothing to do with each other: the label with the UID of a Service that this
//! cluster is recorded to have had, and that it hangs on the platform's own network or servers. Names prove nothing, nor does
//! a label alone: anybody can write both. Volumes need no proof of their own: the driver that makes them is told to label
//! them as the platform's.

use std::fmt;

use helix_crds::labels;

use crate::farewell::Farewell;
use crate::guard::{self, Guard};
use crate::observed::{CloudFacts, LoadBalancer};

/// Whether a load balancer without the platform's label comes from its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It does.
    Proved,
    /// Something says so, and not enough: it is reported and kept.
    Doubtful(Doubt),
    /// Nothing says so.
    Foreign,
}

/// What is missing of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It hangs on the platform's network or servers, but no recorded Service is its own.
    NotRecorded,
    /// It carries the UID of a recorded Service, but hangs on nothing of the platform.
    NotAttached,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRecorded => "it hangs on the platform's network or servers, but is of no Service that is recorded",
            Self::NotAttached => "it carries the UID of a recorded Service, but hangs on nothing of the platform",
        })
    }
}

/// Where a load balancer without the platform's label comes from, as far as it can be proved.
#[must_use]
pub fn origin(balancer: &LoadBalancer, cloud: &CloudFacts, farewell: &Farewell) -> Origin {
    let uid = balancer.labels.get(labels::SERVICE_UID);
    let recorded = uid.is_some_and(|uid| farewell.services.contains(uid) || !guard::holds(Guard::ProofOfOrigin));
    let attached = cloud.holds(balancer) || !guard::holds(Guard::ProofOfOrigin);
    match (recorded, attached) {
        (true, true) => Origin::Proved,
        (true, false) => Origin::Doubtful(Doubt::NotAttached),
        (false, true) if cloud.holds(balancer) => Origin::Doubtful(Doubt::NotRecorded),
        (false, _) => Origin::Foreign,
    }
}

/// The load balancers that are proved to come from the platform's cluster.
pub fn proved<'a>(cloud: &'a CloudFacts, farewell: &'a Farewell) -> impl Iterator<Item = &'a LoadBalancer> {
    cloud.unlabelled.load_balancers.iter().filter(|it| origin(it, cloud, farewell) == Origin::Proved)
}

/// What is left where it is for want of a proof, in words and with the reason.
#[must_use]
pub fn unproved(cloud: &CloudFacts, farewell: &Farewell) -> Vec<(String, String)> {
    let balancers = cloud.unlabelled.load_balancers.iter().filter_map(|it| match origin(it, cloud, farewell) {
        Origin::Doubtful(doubt) => Some((format!("load balancer {}", it.name), doubt.to_string())),
        Origin::Proved | Origin::Foreign => None,
    });
    let ours = |server: u64| cloud.servers.iter().any(|it| it.id == server);
    let volumes = cloud.unlabelled.volumes.iter().filter(|it| it.server.is_some_and(ours)).map(|it| {
        let why = "it is attached to a server of the platform, but does not carry its label".to_owned();
        (format!("volume {}", it.name), why)
    });
    balancers.chain(volumes).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::farewell::tests::farewell;
    use crate::observed::{LoadBalancerTarget, Network, PrivateNet, Tags, TargetHealth, Unlabelled, Volume};

    fn cloud(balancer: LoadBalancer) -> CloudFacts {
        let cidr = "10.0.0.0/16".parse().unwrap();
        let network = Network { id: 1, name: "dev".into(), labels: Tags::new(), cidr, subnets: Vec::new() };
        let unlabelled = Unlabelled { load_balancers: vec![balancer], ..Unlabelled::default() };
        CloudFacts { networks: vec![network], unlabelled, ..CloudFacts::default() }
    }

    fn balancer(service: Option<&str>, network: Option<u64>) -> LoadBalancer {
        let labels = service.map(|uid| (labels::SERVICE_UID.to_owned(), uid.to_owned())).into_iter().collect();
        let private = network.map(|network| PrivateNet { network, ip: Some(Ipv4Addr::new(10, 0, 1, 9)) });
        LoadBalancer {
            id: 9,
            name: "a9b1e22c4".into(),
            labels,
            kind: "lb11".into(),
            location: "fsn1".into(),
            public: true,
            public_ipv4: None,
            private: private.into_iter().collect(),
            services: Vec::new(),
            targets: Vec::new(),
            created: None,
        }
    }

    #[test]
    fn only_a_recorded_service_and_an_attachment_together_are_a_proof() {
        let farewell = farewell(&["s1"]);
        let judged = |service, network| {
            let balancer = balancer(service, network);
            origin(&balancer, &cloud(balancer.clone()), &farewell)
        };
        assert_eq!(judged(Some("s1"), Some(1)), Origin::Proved);
        assert_eq!(judged(Some("s1"), None), Origin::Doubtful(Doubt::NotAttached));
        assert_eq!(judged(Some("s1"), Some(2)), Origin::Doubtful(Doubt::NotAttached), "another's network");
        assert_eq!(judged(Some("s2"), Some(1)), Origin::Doubtful(Doubt::NotRecorded), "another cluster's Service");
        assert_eq!(judged(None, Some(1)), Origin::Doubtful(Doubt::NotRecorded), "made by hand");
        assert_eq!(judged(Some("s2"), Some(2)), Origin::Foreign);
        assert_eq!(judged(None, None), Origin::Foreign);
    }

    #[test]
    fn a_target_that_is_ours_is_an_attachment_and_one_that_is_not_is_none() {
        let farewell = farewell(&["s1"]);
        let mut at_server = balancer(Some("s1"), None);
        at_server.targets = vec![LoadBalancerTarget { server: 5, health: TargetHealth::Unknown }];
        let mut cloud = cloud(at_server.clone());
        assert_eq!(origin(&at_server, &cloud, &farewell), Origin::Doubtful(Doubt::NotAttached));
        cloud.servers = vec![crate::farewell::tests::server(5)];
        assert_eq!(origin(&at_server, &cloud, &farewell), Origin::Proved);
    }

    #[test]
    fn a_volume_at_our_server_without_our_label_is_told() {
        let mut cloud = cloud(balancer(None, None));
        cloud.servers = vec![crate::farewell::tests::server(5)];
        let volume = |name: &str, server| Volume {
            id: 1,
            name: name.into(),
            labels: Tags::new(),
            location: "fsn1".into(),
            size_gb: 10,
            server,
        };
        cloud.unlabelled.volumes = vec![volume("by-hand", Some(5)), volume("elsewhere", Some(6)), volume("free", None)];
        let told: Vec<String> = unproved(&cloud, &farewell(&[])).into_iter().map(|(name, _)| name).collect();
        assert_eq!(told, ["volume by-hand"]);
    }
}

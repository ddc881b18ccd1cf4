//! How long looking takes when some are silent, in virtual time.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use helix_plan::data_gate::DataFacts;
use helix_plan::endpoints::ApiEndpoints;
use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{
    ClaimFacts, CloudFacts, EtcdMember, Fact, KubernetesFacts, MachineStage, NodeFacts, PodFacts, Server, ServerStatus,
    ServiceFacts, TalosFacts,
};
use helix_plan::secrets::Secret;
use helix_plan::step::NodePatch;
use jiff::Timestamp;
use tokio::time::Instant;

use super::access::{Access, ControlPlane};
use super::{cluster, machines};
use crate::memory::{Credentials, Memory};
use crate::seams::{
    Clock, InForce, KubernetesCredentials, Talos, TalosCredentials, TalosError, TalosRoute, Workload, WorkloadError,
    WorkloadRoute,
};

/// Three control planes, `10.0.0.1` to `10.0.0.3`, and what stands behind them.
#[derive(Default)]
struct Stand {
    /// Addresses that take connections and never answer.
    silent: BTreeSet<Ipv4Addr>,
    /// Machines that no control plane reaches.
    off: BTreeSet<Ipv4Addr>,
    /// Endpoints that refuse connections.
    closed: BTreeSet<String>,
    /// Questions by name, as (control plane, machine behind it).
    asked: Mutex<Vec<(Ipv4Addr, Option<Ipv4Addr>)>>,
}

impl Clock for Stand {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

#[async_trait]
impl Talos for Stand {
    async fn maintenance(&self, address: Ipv4Addr) -> Result<TalosFacts, TalosError> {
        Err(TalosError::Unauthenticated { address })
    }

    async fn configure(&self, _: Ipv4Addr, _: &Secret) -> Result<(), TalosError> {
        Ok(())
    }

    async fn status(&self, route: &TalosRoute) -> Result<TalosFacts, TalosError> {
        self.asked.lock().unwrap().push((route.endpoint, route.node));
        let meant = route.node.unwrap_or(route.endpoint);
        if self.silent.contains(&route.endpoint) || self.silent.contains(&meant) {
            std::future::pending::<()>().await;
        }
        if self.off.contains(&meant) {
            let why = "no route to host".to_owned();
            return Err(TalosError::NodeUnreachable { address: meant, through: route.endpoint, why });
        }
        Ok(TalosFacts::Configured {
            version: "v1.13.9".to_owned(),
            stage: MachineStage::Running,
            ready: true,
            unmet: Vec::new(),
            services: Vec::new(),
        })
    }

    async fn extensions(&self, _: &TalosRoute) -> Result<BTreeSet<String>, TalosError> {
        Ok(BTreeSet::new())
    }

    async fn bootstrap_etcd(&self, _: &TalosRoute) -> Result<(), TalosError> {
        Ok(())
    }

    async fn etcd_members(&self, _: &TalosRoute) -> Result<Vec<EtcdMember>, TalosError> {
        Ok(Vec::new())
    }

    async fn forfeit_etcd_leadership(&self, _: &TalosRoute) -> Result<(), TalosError> {
        Ok(())
    }

    async fn install(&self, _: &TalosRoute, _: &str) -> Result<(), TalosError> {
        Ok(())
    }

    async fn reboot(&self, _: &TalosRoute) -> Result<(), TalosError> {
        Ok(())
    }

    async fn reconfigure(&self, _: &TalosRoute, _: &Secret, _: InForce) -> Result<(), TalosError> {
        Ok(())
    }

    async fn remove_etcd_member(&self, _: &TalosRoute, _: u64) -> Result<(), TalosError> {
        Ok(())
    }
}

#[async_trait]
impl Workload for Stand {
    async fn nodes(&self, route: &WorkloadRoute) -> Result<Vec<NodeFacts>, WorkloadError> {
        let endpoint = route.endpoint.clone();
        if self.silent.iter().any(|address| endpoint.contains(&address.to_string())) {
            std::future::pending::<()>().await;
        }
        if self.closed.contains(&endpoint) {
            return Err(WorkloadError::Unreachable { endpoint, why: "connection refused".to_owned() });
        }
        Ok(Vec::new())
    }

    async fn pods_on(&self, _: &WorkloadRoute, _: &MachineName) -> Result<Vec<PodFacts>, WorkloadError> {
        Ok(Vec::new())
    }

    async fn data(&self, _: &WorkloadRoute) -> Result<DataFacts, WorkloadError> {
        Ok(DataFacts::default())
    }

    async fn services(&self, _: &WorkloadRoute) -> Result<Vec<ServiceFacts>, WorkloadError> {
        Ok(Vec::new())
    }

    async fn claims(&self, _: &WorkloadRoute) -> Result<Vec<ClaimFacts>, WorkloadError> {
        Ok(Vec::new())
    }

    async fn delete_service(&self, _: &WorkloadRoute, _: &ServiceFacts) -> Result<(), WorkloadError> {
        Ok(())
    }

    async fn delete_claim(&self, _: &WorkloadRoute, _: &ClaimFacts) -> Result<(), WorkloadError> {
        Ok(())
    }

    async fn evict(&self, _: &WorkloadRoute, _: &PodFacts) -> Result<(), WorkloadError> {
        Ok(())
    }

    async fn patch_node(&self, _: &WorkloadRoute, _: &MachineName, _: &NodePatch) -> Result<(), WorkloadError> {
        Ok(())
    }

    async fn delete_node(&self, _: &WorkloadRoute, _: &MachineName) -> Result<(), WorkloadError> {
        Ok(())
    }
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn identity() -> PlatformIdentity {
    PlatformIdentity { namespace: "n".into(), name: "dev".into(), uid: "u".into() }
}

fn endpoint(last: u8) -> String {
    format!("https://{}:6443", address(last))
}

/// The front is `10.0.0.100`.
fn access() -> Access {
    let text = || "x".to_owned();
    let credentials = Credentials {
        bundle_digest: text(),
        expires_at: Timestamp::MAX,
        talos: Arc::new(TalosCredentials { ca_pem: text(), certificate_pem: text(), key_pem: Secret::new("x") }),
        kubernetes: Arc::new(KubernetesCredentials {
            ca_pem: text(),
            certificate_pem: text(),
            key_pem: Secret::new("x"),
        }),
    };
    let control_plane =
        |slot: u8| ControlPlane { machine: identity().machine("cp", u32::from(slot)), public: address(slot + 1) };
    Access {
        credentials: Some(credentials),
        control_planes: (0..3).map(control_plane).collect(),
        endpoints: ApiEndpoints { front: Some(endpoint(100)), control_planes: (1..=3).map(endpoint).collect() },
        workers: [(0, 11), (1, 12)].map(|(slot, last)| (identity().machine("w", slot), address(last))).into(),
        ..Access::none()
    }
}

fn server(pool: &str, slot: u8, last: u8) -> Server {
    Server {
        id: u64::from(last),
        name: identity().machine(pool, u32::from(slot)).to_string(),
        labels: Default::default(),
        status: ServerStatus::Running,
        locked: false,
        server_type: "cax11".to_owned(),
        location: "fsn1".to_owned(),
        public_ipv4: Some(address(last)),
        private: Vec::new(),
        placement_group: None,
        firewalls: Vec::new(),
        created: None,
    }
}

/// What became of a look at three control planes and two workers, `10.0.0.11` and `10.0.0.12`, and how long it took.
async fn look(stand: &Stand) -> (Vec<bool>, Duration) {
    let servers =
        (0..3).map(|slot| server("cp", slot, slot + 1)).chain((0..2).map(|slot| server("w", slot, slot + 11)));
    let cloud = CloudFacts { servers: servers.collect(), ..CloudFacts::default() };
    let mut memory = Memory::default();
    let begun = Instant::now();
    let facts = machines::ask((stand, stand), &cloud, &access(), &mut memory, stand.now()).await;
    (facts.values().map(|fact| fact.value().is_some()).collect(), begun.elapsed())
}

/// What the API said, whether through the front, and how long it took.
async fn list(stand: &Stand) -> (Option<bool>, Option<String>, Duration) {
    let begun = Instant::now();
    let (facts, answered) = cluster::kubernetes((stand, stand), &access(), false, stand.now()).await;
    let through = match facts {
        Fact::Known { value: KubernetesFacts { through_endpoint, .. }, .. } => Some(through_endpoint),
        Fact::Missing(_) => None,
    };
    (through, answered, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_off_costs_one_question() {
    let stand = Stand { off: [address(12)].into(), ..Stand::default() };
    let (known, took) = look(&stand).await;
    assert_eq!((known, took), (vec![true, true, true, true, false], Duration::ZERO));
    let about_it = stand.asked.lock().unwrap().iter().filter(|(_, node)| *node == Some(address(12))).count();
    assert_eq!(about_it, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_silent_is_waited_for_once_however_many_control_planes_there_are() {
    let stand = Stand { silent: [address(12)].into(), ..Stand::default() };
    let (known, took) = look(&stand).await;
    assert_eq!((known, took.as_secs()), (vec![true, true, true, true, false], 10));
}

#[tokio::test(start_paused = true)]
async fn workers_are_asked_through_a_control_plane_that_answers() {
    let stand = Stand { silent: [address(1)].into(), ..Stand::default() };
    let (known, took) = look(&stand).await;
    assert_eq!((known, took.as_secs()), (vec![false, true, true, true, true], 10));
    let through: BTreeSet<Ipv4Addr> =
        stand.asked.lock().unwrap().iter().filter(|(_, node)| node.is_some()).map(|(through, _)| *through).collect();
    assert_eq!(through, [address(2)].into());
}

#[tokio::test(start_paused = true)]
async fn the_front_counts_whenever_it_answers() {
    let (through, answered, took) = list(&Stand::default()).await;
    assert_eq!((through, answered, took), (Some(true), Some(endpoint(100)), Duration::ZERO));
    let refused = Stand { closed: [endpoint(100)].into(), ..Stand::default() };
    let (through, answered, took) = list(&refused).await;
    assert_eq!((through, answered, took), (Some(false), Some(endpoint(1)), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn routes_that_hang_are_not_waited_for_one_after_the_other() {
    let stand = Stand { silent: [address(100), address(1), address(2)].into(), ..Stand::default() };
    let (through, answered, took) = list(&stand).await;
    assert_eq!((through, answered.clone(), took.as_secs()), (Some(false), Some(endpoint(3)), 5));
    let rest = Access { answered, ..access() };
    assert_eq!(rest.to_cluster()[0].0.endpoint, endpoint(3), "steps go where somebody answers");

    let all = Stand { silent: [address(100), address(1), address(2), address(3)].into(), ..Stand::default() };
    let (through, _, took) = list(&all).await;
    assert_eq!((through, took.as_secs()), (None, 8));
}

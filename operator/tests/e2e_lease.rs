//! The election on a real API server: of many candidates one wins, a leader that is gone is replaced only after the
//! term, and one that leaves cleanly at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "what the clients' tests need besides")]
#[path = "../../crates/clients/tests/support/api_server.rs"]
mod api_server;

use std::time::{Duration, Instant};

use api_server::ApiServer;
use futures::future::join_all;
use helix_operator::lease::{Candidate, Lost, Terms};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, DeleteParams};

const NAMESPACE: &str = "default";
const TERMS: Terms =
    Terms { lease: Duration::from_secs(2), renew: Duration::from_millis(1300), retry: Duration::from_millis(100) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_on_a_real_api_server() {
    let Some(server) = ApiServer::start().await else { return };
    let client = server.client(&server.route(&server.bundle));
    of_many_candidates_one_wins(&client).await;
    a_leader_that_is_gone_is_replaced_after_its_term(&client).await;
    a_leader_that_releases_is_replaced_at_once(&client).await;
    a_leader_stops_when_another_has_the_lease(&client).await;
}

fn candidate(client: &Client, lease: &str, identity: &str) -> Candidate {
    Candidate::new(client.clone(), NAMESPACE, lease, identity, TERMS)
}

async fn read(client: &Client, lease: &str) -> Lease {
    Api::<Lease>::namespaced(client.clone(), NAMESPACE).get(lease).await.unwrap()
}

async fn holder(client: &Client, lease: &str) -> Option<String> {
    read(client, lease).await.spec.and_then(|spec| spec.holder_identity)
}

/// Whether a candidate leads within the time.
async fn leads_within(candidate: &mut Candidate, time: Duration) -> bool {
    tokio::time::timeout(time, candidate.campaign()).await.is_ok()
}

async fn of_many_candidates_one_wins(client: &Client) {
    for race in 0..20 {
        let lease = format!("race-{race}");
        let mut candidates: Vec<(String, Candidate)> =
            (0..8).map(|n| (format!("c{n}"), candidate(client, &lease, &format!("c{n}")))).collect();
        // Shorter than the term, so that nobody may take over.
        let races = candidates.iter_mut().map(|(name, candidate)| async move {
            leads_within(candidate, TERMS.lease / 2).await.then(|| name.clone())
        });
        let winners: Vec<String> = join_all(races).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?} won {lease}");
        assert_eq!(holder(client, &lease).await, winners.first().cloned());
    }
}

async fn a_leader_that_is_gone_is_replaced_after_its_term(client: &Client) {
    let (mut first, mut second) = (candidate(client, "gone", "first"), candidate(client, "gone", "second"));
    first.campaign().await;
    // Held for longer than the term: who stands by waits as long as it is renewed.
    let holding = tokio::time::timeout(TERMS.lease * 2, first.hold());
    let (held, waited) = tokio::join!(holding, leads_within(&mut second, TERMS.lease * 2 - TERMS.retry));
    assert!(held.is_err() && !waited, "the leader lost the lease that it renewed: {held:?}");
    // The first is gone without a word.
    drop(first);
    let begun = Instant::now();
    second.campaign().await;
    assert!(begun.elapsed() >= TERMS.lease - TERMS.retry * 4, "it took over after {:?}", begun.elapsed());
    let spec = read(client, "gone").await.spec.unwrap_or_default();
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("second"), Some(1)));
}

async fn a_leader_that_releases_is_replaced_at_once(client: &Client) {
    let (mut first, mut second) = (candidate(client, "clean", "first"), candidate(client, "clean", "second"));
    first.campaign().await;
    assert!(!leads_within(&mut second, TERMS.retry * 3).await);
    first.release().await;
    assert_eq!(holder(client, "clean").await, None);
    assert!(leads_within(&mut second, TERMS.lease / 2).await);
    // Who does not hold it has nothing to give up.
    first.release().await;
    assert_eq!(holder(client, "clean").await.as_deref(), Some("second"));
}

async fn a_leader_stops_when_another_has_the_lease(client: &Client) {
    let (mut first, mut second) = (candidate(client, "lost", "first"), candidate(client, "lost", "second"));
    first.campaign().await;
    // Somebody deletes the lease, and another candidate is faster than the leader's renewal.
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    leases.delete("lost", &DeleteParams::default()).await.unwrap();
    second.campaign().await;
    assert_eq!(first.hold().await, Lost::Taken { holder: "second".to_owned() });
}

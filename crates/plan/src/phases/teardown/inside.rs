//! The cluster's own controllers remove what they have made, while they run: Services of type LoadBalancer and claims are
//! deleted through the cluster's API, and their controllers are given time.
//!
//! The time has bounds, each counted from something that is written down: a cluster that does not answer, a controller
//! that does not act, and users' controllers that make anew what is deleted hold no teardown up for ever.

use jiff::{SignedDuration, Timestamp};

use super::Outcome;
use crate::farewell::{Farewell, Kept};
use crate::guard::{self, Guard};
use crate::observed::{CloudFacts, Fact, KubernetesFacts, Observed, ServerStatus, StoreFacts};
use crate::report::Wait;
use crate::step::Step;

/// How long a cluster's API may take to answer, counted from the beginning of the teardown.
const API: SignedDuration = SignedDuration::from_secs(60);

/// How long a controller may take to remove what it has made, counted from when that was asked of it: pods have 30 s to
/// end, volumes leave their servers in seconds, and load balancers go at once.
const CONTROLLER: SignedDuration = SignedDuration::from_secs(180);

/// How long claims are deleted, counted from the beginning of the teardown. What is there afterwards was made anew, by
/// operators that keep up what they look after; it goes with the servers, and its volumes by the proof of whose they were.
const CLAIMS: SignedDuration = SignedDuration::from_secs(120);

/// How long all of it may take, counted from the beginning of the teardown.
const ALL: SignedDuration = SignedDuration::from_mins(10);

/// What is done or awaited inside the cluster; `None` where there is nothing left to do there, or nobody to ask.
pub(super) fn plan(
    farewell: &Farewell,
    observed: &Observed,
    store: &StoreFacts,
    cloud: &CloudFacts,
    now: Timestamp,
) -> Option<Outcome> {
    // Once a server goes there is no way back into the cluster.
    let leaving = cloud.servers.iter().any(|server| server.status == ServerStatus::Deleting);
    let was_up = store.bootstrap.is_some() && store.bundle.is_some();
    if leaving || cloud.servers.is_empty() || !was_up || farewell.began + ALL <= now {
        return None;
    }
    match &observed.kubernetes {
        Fact::Known { value, .. } => through_the_cluster(farewell, value, now),
        Fact::Missing(_) => {
            let until = farewell.began + API;
            (now < until).then(|| Outcome::waiting(Wait::ClusterTells { until }))
        }
    }
}

fn through_the_cluster(farewell: &Farewell, cluster: &KubernetesFacts, now: Timestamp) -> Option<Outcome> {
    let keeps_volumes = farewell.retain.contains(&Kept::Volumes) && guard::holds(Guard::RetainedStays);
    let made_anew = farewell.began + CLAIMS <= now;
    let claims = || cluster.claims.iter().filter(|it| !keeps_volumes && (it.leaving.is_some() || !made_anew));
    let services = cluster.services.iter().filter(|it| it.leaving.is_none()).cloned().map(Step::DeleteService);
    let steps: Vec<Step> =
        services.chain(claims().filter(|it| it.leaving.is_none()).cloned().map(Step::DeleteClaim)).collect();
    if !steps.is_empty() {
        return Some(Outcome::steps(steps));
    }
    let services = cluster.services.iter().map(|it| (format!("Service {}/{}", it.namespace, it.name), it.leaving));
    let claims = claims().map(|it| (format!("claim {}/{}", it.namespace, it.name), it.leaving));
    let in_time = |leaving: &Option<Timestamp>| leaving.is_some_and(|since| now < since + CONTROLLER);
    let awaited: Vec<_> = services.chain(claims).filter(|(_, leaving)| in_time(leaving)).collect();
    let last = awaited.iter().filter_map(|(_, leaving)| *leaving).max()?;
    let objects = awaited.into_iter().map(|(object, _)| object).collect();
    Some(Outcome::waiting(Wait::Controllers { objects, until: last + CONTROLLER }))
}

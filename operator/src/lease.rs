//! Who leads: an election by one `Lease`, so that replicas can stand by.
//!
//! # Expected flow
//! [`Candidate::campaign`] returns once this process leads; [`Candidate::hold`] renews until the lease is lost;
//! [`Candidate::release`] hands it over at a clean end.
//!
//! # Guarantees
//! Every write replaces the lease that was read, by its resource version: of several candidates one wins, the others
//! get a conflict. A leader that cannot renew stops before anybody else may start.
//!
//! # Assumptions
//! Clocks may differ between machines, but not run at very different speeds: how long a lease has not been renewed is
//! measured by the own monotonic clock since its last change was seen; the times in it are for people.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

use crate::error::{CallError, call};

/// How long things take in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// After this long without a renewal others take the lease.
    pub lease: Duration,
    /// After this long without a renewal the leader stops.
    pub renew: Duration,
    /// Between attempts.
    pub retry: Duration,
}

impl Terms {
    /// The usual proportions, as with 15 s for the lease: 10 s to renew it, an attempt every 2 s.
    #[must_use]
    pub fn of(lease: Duration) -> Self {
        Self { lease, renew: lease * 2 / 3, retry: lease * 2 / 15 }
    }
}

/// Why a leader leads no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another process has it.
    #[error("{holder} holds it")]
    Taken {
        /// Who.
        holder: String,
    },
    /// It could not be renewed in time.
    #[error("it could not be renewed within {} ms: {why}", within.as_millis())]
    Expired {
        /// The time there was.
        within: Duration,
        /// What the last attempt met.
        why: String,
    },
}

/// One process that would lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    terms: Terms,
    observation: Observation,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate {} for {}", self.identity, self.name)
    }
}

/// How an attempt ended.
enum Attempt {
    Held,
    HeldBy(String),
    /// Somebody else wrote at the same time.
    Overtaken,
}

impl Candidate {
    /// A candidate for the lease of that name.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, terms: Terms) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            terms,
            observation: Observation::default(),
        }
    }

    /// Waits until this process leads.
    pub async fn campaign(&mut self) {
        loop {
            match self.attempt().await {
                Ok(Attempt::Held) => return,
                Ok(Attempt::HeldBy(holder)) => tracing::debug!(holder, "standing by for the lease"),
                Ok(Attempt::Overtaken) => tracing::debug!("another candidate was faster"),
                Err(error) => tracing::warn!(reason = error.reason(), "the lease cannot be had: {error}"),
            }
            tokio::time::sleep(self.terms.retry).await;
        }
    }

    /// Renews the lease until it is lost.
    pub async fn hold(&mut self) -> Lost {
        let within = self.terms.renew;
        let mut renewed = Instant::now();
        let mut why = "no attempt was answered".to_owned();
        loop {
            tokio::time::sleep(self.terms.retry).await;
            let begun = Instant::now();
            match tokio::time::timeout_at(renewed + within, self.attempt()).await {
                Ok(Ok(Attempt::Held)) => renewed = begun,
                Ok(Ok(Attempt::HeldBy(holder))) => return Lost::Taken { holder },
                Ok(Ok(Attempt::Overtaken)) => "somebody else changed it".clone_into(&mut why),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => return Lost::Expired { within, why },
            }
        }
    }

    /// Gives the lease up, so that another candidate need not wait for its end. A failure costs that wait, no more.
    pub async fn release(&mut self) {
        if let Err(error) = self.try_release().await {
            tracing::warn!(reason = error.reason(), "the lease is left to run out: {error}");
        }
    }

    async fn try_release(&mut self) -> Result<(), CallError> {
        let Some(mut lease) = call("read the lease", self.api.get_opt(&self.name)).await? else { return Ok(()) };
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity))
        else {
            return Ok(());
        };
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        call("release the lease", self.api.replace(&self.name, &PostParams::default(), &lease)).await.map(drop)
    }

    async fn attempt(&mut self) -> Result<Attempt, CallError> {
        let found = call("read the lease", self.api.get_opt(&self.name)).await?;
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let written = match self.observation.judge(spec.as_ref(), &self.identity, self.terms.lease, Instant::now()) {
            Move::Wait { holder } => return Ok(Attempt::HeldBy(holder)),
            Move::Create => {
                let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                let lease = Lease { metadata, spec: Some(self.claim(None)) };
                call("create the lease", self.api.create(&PostParams::default(), &lease)).await
            }
            Move::Take | Move::Renew => {
                let metadata = found.map(|lease| lease.metadata).unwrap_or_default();
                let lease = Lease { metadata, spec: Some(self.claim(spec.as_ref())) };
                call("renew the lease", self.api.replace(&self.name, &PostParams::default(), &lease)).await
            }
        };
        match written {
            Ok(_) => Ok(Attempt::Held),
            Err(error) if error.is_conflict() => Ok(Attempt::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// The lease as it is when this process holds it.
    fn claim(&self, last: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mine = last.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let transitions = last.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            acquire_time: mine.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.terms.lease.as_secs().max(1)).unwrap_or(i32::MAX)),
            lease_transitions: Some(transitions + i32::from(last.is_some() && mine.is_none())),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }
}

/// What a candidate may do.
#[derive(Debug, PartialEq, Eq)]
enum Move {
    Create,
    Take,
    Renew,
    Wait { holder: String },
}

/// The lease as it was seen last, and since when it has been like that, by the own clock.
#[derive(Debug, Default)]
struct Observation {
    last: Option<(LeaseSpec, Instant)>,
}

impl Observation {
    fn judge(&mut self, found: Option<&LeaseSpec>, me: &str, lease: Duration, now: Instant) -> Move {
        let Some(found) = found else { return Move::Create };
        let since = match &self.last {
            Some((last, since)) if last == found => *since,
            _ => {
                self.last = Some((found.clone(), now));
                now
            }
        };
        // The holder's own promise counts where it is longer than ours: it may have been started with other terms.
        let promised = found.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
        let term = lease.max(Duration::from_secs(promised));
        match found.holder_identity.as_deref().unwrap_or_default() {
            "" => Move::Take,
            holder if holder == me => Move::Renew,
            _ if now.duration_since(since) >= term => Move::Take,
            holder => Move::Wait { holder: holder.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);

    fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Timestamp::from_second(renewed).ok().map(MicroTime),
            ..LeaseSpec::default()
        }
    }

    fn waits_for(holder: &str) -> Move {
        Move::Wait { holder: holder.to_owned() }
    }

    #[test]
    fn a_lease_that_nobody_holds_is_taken() {
        let (mut seen, now) = (Observation::default(), Instant::now());
        assert_eq!(seen.judge(None, "a", LEASE, now), Move::Create);
        assert_eq!(seen.judge(Some(&LeaseSpec::default()), "a", LEASE, now), Move::Take);
        assert_eq!(seen.judge(Some(&held_by("", 0)), "a", LEASE, now), Move::Take);
        assert_eq!(seen.judge(Some(&held_by("a", 0)), "a", LEASE, now), Move::Renew);
    }

    #[test]
    fn a_lease_is_taken_only_when_it_was_seen_unchanged_for_its_term_whatever_its_times_say() {
        let (mut seen, start) = (Observation::default(), Instant::now());
        // Renewed long ago by its own account: the holder's clock may simply be wrong.
        assert_eq!(seen.judge(Some(&held_by("b", 0)), "a", LEASE, start), waits_for("b"));
        let almost = start + Duration::from_millis(14_999);
        assert_eq!(seen.judge(Some(&held_by("b", 0)), "a", LEASE, almost), waits_for("b"));
        // A renewal starts the term anew.
        assert_eq!(seen.judge(Some(&held_by("b", 1)), "a", LEASE, almost), waits_for("b"));
        assert_eq!(seen.judge(Some(&held_by("b", 1)), "a", LEASE, start + LEASE), waits_for("b"));
        assert_eq!(seen.judge(Some(&held_by("b", 1)), "a", LEASE, almost + LEASE), Move::Take);
    }

    #[test]
    fn a_longer_promise_of_the_holder_is_respected() {
        let (mut seen, start) = (Observation::default(), Instant::now());
        let promised = LeaseSpec { lease_duration_seconds: Some(60), ..held_by("b", 0) };
        assert_eq!(seen.judge(Some(&promised), "a", LEASE, start), waits_for("b"));
        assert_eq!(seen.judge(Some(&promised), "a", LEASE, start + LEASE), waits_for("b"));
        assert_eq!(seen.judge(Some(&promised), "a", LEASE, start + Duration::from_secs(60)), Move::Take);
    }

    #[test]
    fn a_leader_gives_up_before_others_may_take_over() {
        for seconds in [3, 15, 3600] {
            let terms = Terms::of(Duration::from_secs(seconds));
            assert!(terms.retry < terms.renew && terms.renew < terms.lease, "{terms:?}");
        }
    }
}

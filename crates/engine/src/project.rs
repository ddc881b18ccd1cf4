//! One token's project at Hetzner, shared by all platforms that use the token: one client, one budget, one reading.
//!
//! A reading is kept and amended with what accepted requests answered, so that a platform's own changes show at once
//! and cost no further call. It is read anew when a look falls due, or when an answer was lost. With such a look goes
//! the question what became of requests that were accepted, where the lists do not show it.

use std::sync::Arc;

use helix_plan::catalogue::Catalogue;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, Fact, Server};
use helix_plan::step::{Lane, Step};
use helix_plan::{Look, SWEEP};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::actions::{Actions, Failure};
use crate::seams::{Cloud, CloudError};

/// How long a catalogue is good for: prices and types change rarely, availability shows when ordering.
const CATALOGUE_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How long one is good for while a platform waits for something that cannot be ordered.
const SCARCE_CATALOGUE_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// How long a catalogue that could not be renewed serves on before the next attempt.
const CATALOGUE_REST: SignedDuration = SignedDuration::from_mins(1);

/// How much of the project has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Nothing that is not there.
    Kept,
    /// The servers.
    Servers,
    /// All kinds.
    Everything,
}

#[derive(Debug, Default)]
struct Reading {
    facts: Option<CloudFacts>,
    /// When the servers were read.
    at: Timestamp,
    /// When everything was read.
    everything_at: Timestamp,
    stale: bool,
    /// Whether what is here was changed since it was read: true as far as we know, but seen by nobody.
    amended: bool,
    catalogue: Option<(Arc<Catalogue>, Timestamp)>,
    /// Until when a catalogue that is too old serves on, because it could not be renewed just now.
    catalogue_rests_until: Timestamp,
    actions: Actions,
}

impl Reading {
    /// How much has to be read anew. Reading servers often does not put off the sweep of everything else.
    fn due(&self, look: Option<Look>, now: Timestamp) -> Scope {
        let (Some(look), Some(_), false) = (look, &self.facts, self.stale) else { return Scope::Everything };
        let due = |at: Timestamp, read: Timestamp| at <= now && read < at;
        if due(look.project_at, self.everything_at) || self.everything_at + SWEEP <= now {
            Scope::Everything
        } else if due(look.servers_at, self.at) {
            Scope::Servers
        } else {
            Scope::Kept
        }
    }

    /// The catalogue, if it needs no renewal now.
    fn good_catalogue(&self, scarce: bool, now: Timestamp) -> Option<Arc<Catalogue>> {
        let life = if scarce { SCARCE_CATALOGUE_LIFE } else { CATALOGUE_LIFE };
        let (catalogue, at) = self.catalogue.as_ref()?;
        ((*at + life).max(self.catalogue_rests_until) > now).then(|| Arc::clone(catalogue))
    }

    /// Whether what is here serves a look that was refused. Looking for drift can wait, where nothing says that there is
    /// some; everything else has to know.
    fn serves(&self, lane: Lane, refusal: &CloudError) -> bool {
        let budget = matches!(refusal, CloudError::BudgetExhausted { .. } | CloudError::RateLimited { .. });
        budget && lane == Lane::Drift && self.facts.is_some() && !self.stale
    }
}

/// A project and what is known of it.
pub struct Project {
    cloud: Arc<dyn Cloud>,
    reading: Mutex<Reading>,
}

impl Project {
    /// A project of which nothing is known yet.
    #[must_use]
    pub fn new(cloud: Arc<dyn Cloud>) -> Self {
        Self { cloud, reading: Mutex::default() }
    }

    /// The API itself.
    #[must_use]
    pub fn cloud(&self) -> &dyn Cloud {
        self.cloud.as_ref()
    }

    /// What may be bought. `scarce` says that a platform waits for something that cannot be ordered: then what is known
    /// of it is renewed sooner.
    ///
    /// # Errors
    /// What Hetzner answered, if there is no catalogue that is still good.
    pub async fn catalogue(&self, scarce: bool, now: Timestamp) -> Result<Arc<Catalogue>, CloudError> {
        let mut reading = self.reading.lock().await;
        if let Some(good) = reading.good_catalogue(scarce, now) {
            return Ok(good);
        }
        match (self.cloud.catalogue(Lane::ControlPlane).await, &reading.catalogue) {
            (Ok(catalogue), _) => {
                let catalogue = Arc::new(catalogue);
                reading.catalogue = Some((Arc::clone(&catalogue), now));
                Ok(catalogue)
            }
            // Prices that are a little old stop no repair; a token that is refused does.
            (Err(error), Some((old, _))) if !error.is_refusal() => {
                let old = Arc::clone(old);
                reading.catalogue_rests_until = now + CATALOGUE_REST;
                Ok(old)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What the project holds of one platform, read anew as far as `look` asks for it; without one, all of it. A reading
    /// that another platform caused after it fell due serves as well. A look for drift makes do with what is there when
    /// the budget has nothing left for it, unless that has turned out to be out of date.
    ///
    /// # Errors
    /// What Hetzner answered.
    pub(crate) async fn facts(
        &self,
        platform: &PlatformIdentity,
        look: Option<Look>,
        lane: Lane,
        now: Timestamp,
    ) -> Result<Fact<CloudFacts>, CloudError> {
        let mut reading = self.reading.lock().await;
        match self.read(&mut reading, look, lane, now).await {
            Err(refusal) if reading.serves(lane, &refusal) => {}
            result => result?,
        }
        let facts = reading.facts.as_ref().map(|facts| of_platform(facts, platform)).unwrap_or_default();
        Ok(Fact::known(facts, reading.at))
    }

    /// All that the project holds of any platform, from a reading that is no older than a sweep. It is asked for in the
    /// lowest lane.
    ///
    /// # Errors
    /// What Hetzner answered.
    pub(crate) async fn everything(&self, now: Timestamp) -> Result<CloudFacts, CloudError> {
        let mut reading = self.reading.lock().await;
        let look = Look { again_at: now, servers_at: Timestamp::MAX, project_at: Timestamp::MAX };
        self.read(&mut reading, Some(look), Lane::Drift, now).await?;
        Ok(reading.facts.clone().unwrap_or_default())
    }

    async fn read(
        &self,
        reading: &mut Reading,
        look: Option<Look>,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        let scope = reading.due(look, now);
        match scope {
            Scope::Kept => return Ok(()),
            Scope::Servers => {
                let servers = self.cloud.servers(lane).await?;
                if let Some(facts) = &mut reading.facts {
                    take_servers(facts, servers);
                }
                reading.at = now;
            }
            Scope::Everything => {
                reading.facts = Some(self.cloud.project(lane).await?);
                reading.stale = false;
                reading.amended = false;
                reading.at = now;
                reading.everything_at = now;
            }
        }
        self.ask_for_actions(reading, scope, lane, now).await;
        Ok(())
    }

    /// Asks what became of requests whose effect the lists do not show. That one failed says that facts are out of date,
    /// because they were amended by what it would have made true.
    async fn ask_for_actions(&self, reading: &mut Reading, scope: Scope, lane: Lane, now: Timestamp) {
        let Some(facts) = &reading.facts else { return };
        let ids = reading.actions.worth_asking(facts, scope == Scope::Everything, now);
        if ids.is_empty() {
            return;
        }
        let states = match self.cloud.actions(lane, &ids).await {
            Ok(states) => states,
            Err(CloudError::NotFound { .. }) => Vec::new(),
            Err(error) => {
                // Lists go on without: this only tells why something did not come true.
                tracing::debug!(reason = error.reason(), %error, "actions are asked for later");
                return;
            }
        };
        reading.stale |= reading.actions.answered(&ids, &states, now);
    }

    /// What was accepted for a platform and failed since, each told once.
    pub(crate) async fn take_failures(&self, platform: &PlatformIdentity) -> Vec<Failure> {
        self.reading.lock().await.actions.take_failures(platform)
    }

    /// A request was accepted: amends the reading with what it answered, and keeps an eye on the actions it started.
    pub(crate) async fn accepted(
        &self,
        platform: &PlatformIdentity,
        step: &Step,
        actions: Vec<u64>,
        now: Timestamp,
        change: impl FnOnce(&mut CloudFacts) + Send,
    ) {
        let mut reading = self.reading.lock().await;
        reading.actions.start(platform, step, actions, now);
        if let Some(facts) = &mut reading.facts {
            change(facts);
            reading.amended = true;
        }
    }

    /// Whether everything that is known was read as it is, without our own changes since.
    pub async fn is_as_read(&self) -> bool {
        !self.reading.lock().await.amended
    }

    /// The reading can no longer be trusted: an answer was lost, or a name turned out to be taken.
    pub async fn distrust(&self) {
        self.reading.lock().await.stale = true;
    }
}

/// The part of a project that one platform owns, and the images, which are everybody's.
fn of_platform(all: &CloudFacts, platform: &PlatformIdentity) -> CloudFacts {
    let ours = |labels: &helix_plan::observed::Tags| platform.owns(labels);
    CloudFacts {
        networks: all.networks.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        firewalls: all.firewalls.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        ssh_keys: all.ssh_keys.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        placement_groups: all.placement_groups.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        load_balancers: all.load_balancers.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        servers: all.servers.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        volumes: all.volumes.iter().filter(|r| ours(&r.labels)).cloned().collect(),
        unlabelled: all.unlabelled.clone(),
        images: all.images.clone(),
    }
}

/// Takes in a list of servers. A volume of a server that is gone is free: Hetzner keeps it, and takes it from the server.
fn take_servers(facts: &mut CloudFacts, servers: Vec<Server>) {
    let gone = |id: u64| facts.servers.iter().any(|it| it.id == id) && servers.iter().all(|it| it.id != id);
    for volume in facts.volumes.iter_mut().chain(&mut facts.unlabelled.volumes) {
        volume.server = volume.server.filter(|server| !gone(*server));
    }
    facts.servers = servers;
}

#[cfg(test)]
mod tests {
    use helix_plan::catalogue::dated_table;

    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24) + SignedDuration::from_mins(minute)
    }

    #[test]
    fn a_look_without_budget_makes_do_with_what_is_not_known_to_be_wrong() {
        let refusal = CloudError::BudgetExhausted { until: minute(1) };
        let mut reading = Reading { facts: Some(CloudFacts::default()), ..Reading::default() };
        assert!(reading.serves(Lane::Drift, &refusal));
        assert!(!reading.serves(Lane::ControlPlane, &refusal));
        assert!(!reading.serves(Lane::Drift, &CloudError::Unauthorized { message: String::new() }));
        reading.stale = true;
        assert!(!reading.serves(Lane::Drift, &refusal));
    }

    #[test]
    fn a_catalogue_is_renewed_sooner_while_something_is_scarce_and_rests_after_a_failure() {
        let catalogue = Some((Arc::new(dated_table()), minute(0)));
        let mut reading = Reading { catalogue, ..Reading::default() };
        let minutes = |reading: &Reading, scarce: bool| {
            (0..70).filter(|at| reading.good_catalogue(scarce, minute(*at)).is_some()).count()
        };
        assert_eq!((minutes(&reading, false), minutes(&reading, true)), (60, 10));
        reading.catalogue_rests_until = minute(61);
        assert_eq!((minutes(&reading, false), minutes(&reading, true)), (61, 61));
    }
}

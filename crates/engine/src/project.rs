//! One token's project at Hetzner, shared by all platforms that use the token: one client, one budget, one reading.
//!
//! A reading is kept and amended with what accepted requests answered, so that a platform's own changes show at once
//! and cost no further call. It is read anew when a look falls due, or when an answer was lost.

use std::sync::Arc;

use helix_plan::catalogue::Catalogue;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, Fact};
use helix_plan::step::Lane;
use helix_plan::{Look, SWEEP};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::seams::{Cloud, CloudError};

/// How long a catalogue is good for: prices and types change rarely, availability shows when ordering.
const CATALOGUE_LIFE: SignedDuration = SignedDuration::from_hours(1);

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

    /// What may be bought.
    ///
    /// # Errors
    /// What Hetzner answered, if there is no catalogue that is still good.
    pub async fn catalogue(&self, now: Timestamp) -> Result<Arc<Catalogue>, CloudError> {
        let mut reading = self.reading.lock().await;
        if let Some((catalogue, at)) = &reading.catalogue
            && *at + CATALOGUE_LIFE > now
        {
            return Ok(Arc::clone(catalogue));
        }
        match (self.cloud.catalogue(Lane::ControlPlane).await, &reading.catalogue) {
            (Ok(catalogue), _) => {
                let catalogue = Arc::new(catalogue);
                reading.catalogue = Some((Arc::clone(&catalogue), now));
                Ok(catalogue)
            }
            // Prices that are a little old stop no repair; a token that is refused does.
            (Err(error), Some((old, _))) if !error.is_refusal() => Ok(Arc::clone(old)),
            (Err(error), _) => Err(error),
        }
    }

    /// What the project holds of one platform, read anew as far as `look` asks for it; without one, all of it. A reading
    /// that another platform caused after it fell due serves as well. A look for drift makes do with what is there when
    /// the budget has nothing left for it.
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
            Err(CloudError::BudgetExhausted { .. } | CloudError::RateLimited { .. })
                if lane == Lane::Drift && reading.facts.is_some() => {}
            result => result?,
        }
        let facts = reading.facts.as_ref().map(|facts| of_platform(facts, platform)).unwrap_or_default();
        Ok(Fact::known(facts, reading.at))
    }

    async fn read(
        &self,
        reading: &mut Reading,
        look: Option<Look>,
        lane: Lane,
        now: Timestamp,
    ) -> Result<(), CloudError> {
        match reading.due(look, now) {
            Scope::Kept => {}
            Scope::Servers => {
                let servers = self.cloud.servers(lane).await?;
                if let Some(facts) = &mut reading.facts {
                    facts.servers = servers;
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
        Ok(())
    }

    /// Amends the reading with what an accepted request answered.
    pub async fn amend(&self, change: impl FnOnce(&mut CloudFacts) + Send) {
        let mut reading = self.reading.lock().await;
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
        images: all.images.clone(),
    }
}

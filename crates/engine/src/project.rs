//! One token's project at Hetzner, shared by all platforms that use the token: one client, one budget, one reading.
//!
//! A reading is kept and amended with what accepted requests answered, so that a platform's own changes show at once
//! and cost no further call. It is read anew when a look falls due, or when an answer was lost.

use std::sync::Arc;

use helix_plan::catalogue::Catalogue;
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, Fact};
use helix_plan::step::Lane;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::seams::{Cloud, CloudError};

/// How long a catalogue is good for: prices and types change rarely, availability shows when ordering.
const CATALOGUE_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How much of the project has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
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
    at: Timestamp,
    stale: bool,
    /// Whether what is here was changed since it was read: true as far as we know, but seen by nobody.
    amended: bool,
    catalogue: Option<(Arc<Catalogue>, Timestamp)>,
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
        let catalogue = Arc::new(self.cloud.catalogue(Lane::ControlPlane).await?);
        reading.catalogue = Some((Arc::clone(&catalogue), now));
        Ok(catalogue)
    }

    /// What the project holds of one platform, read anew as far as `scope` asks for it. A reading that another platform
    /// caused after `due` serves as well.
    ///
    /// # Errors
    /// What Hetzner answered.
    pub async fn facts(
        &self,
        platform: &PlatformIdentity,
        scope: Scope,
        due: Timestamp,
        lane: Lane,
        now: Timestamp,
    ) -> Result<Fact<CloudFacts>, CloudError> {
        let mut reading = self.reading.lock().await;
        let scope = match reading.facts {
            None => Scope::Everything,
            Some(_) if reading.stale => Scope::Everything,
            Some(_) if reading.at > due => Scope::Kept,
            Some(_) => scope,
        };
        match scope {
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
            }
        }
        let facts = reading.facts.as_ref().map(|facts| of_platform(facts, platform)).unwrap_or_default();
        Ok(Fact::known(facts, reading.at))
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

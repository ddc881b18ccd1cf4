//! What is kept for each platform between passes, in memory only. After a restart it is found out again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use helix_crds::{HelixMachine, HelixPlatform};
use helix_engine::Memory;
use helix_plan::observed::Intents;
use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::events::Said;
use crate::projects::SharedProject;

/// The longest pause after passes that the management cluster cut short; the first is one second.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What one platform's passes know of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The engine's.
    pub(crate) memory: Memory,
    /// Keeps the project open: its budget and its reading outlive a pass.
    pub(crate) project: Option<Arc<SharedProject>>,
    /// The platform as the last write of this process left it.
    pub(crate) written: Option<Arc<HelixPlatform>>,
    /// When the status was written last.
    pub(crate) status_written: Option<Timestamp>,
    /// Which events were published.
    pub(crate) said: Said,
    /// How many passes there were.
    pub(crate) passes: u64,
    asked: Option<(u64, Intents)>,
}

impl Past {
    /// The newer of what the watch shows and what this process wrote itself, which the watch may not show yet.
    pub(crate) fn newest(&self, watched: Arc<HelixPlatform>) -> Arc<HelixPlatform> {
        match &self.written {
            Some(written) if version(written) > version(&watched) => Arc::clone(written),
            _ => watched,
        }
    }

    /// Whether the user asks for something else than at the last pass, of the platform or of one of its machines. The
    /// first pass is no change.
    pub(crate) fn is_asked_anew(&mut self, platform: &HelixPlatform, intents: &Intents) -> bool {
        let asks = (request(platform), intents.clone());
        let before = self.asked.replace(asks);
        before.is_some() && before != self.asked
    }
}

/// Digest of everything about a platform that only others than the operator change: if it stays, no pass is due.
pub(crate) fn request(platform: &HelixPlatform) -> u64 {
    let mut hasher = DefaultHasher::new();
    platform.metadata.generation.hash(&mut hasher);
    platform.annotations().hash(&mut hasher);
    platform.metadata.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

/// The same of a machine: its annotations and its deletion are what users ask of it.
pub(crate) fn machine_request(machine: &HelixMachine) -> u64 {
    let mut hasher = DefaultHasher::new();
    machine.annotations().hash(&mut hasher);
    machine.metadata.deletion_timestamp.is_some().hash(&mut hasher);
    hasher.finish()
}

/// Resource versions of one resource are numbers that grow (Kubernetes promises it since 1.35, etcd always did).
fn version(platform: &HelixPlatform) -> u128 {
    platform.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// One platform's place.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Held during a pass.
    pub(crate) past: tokio::sync::Mutex<Past>,
    failures: AtomicU32,
}

impl Place {
    /// A pass went through.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// A pass was cut short: how long to wait before the next one.
    pub(crate) fn failed(&self) -> Duration {
        let earlier = self.failures.fetch_add(1, Ordering::Relaxed);
        Duration::from_secs(1 << earlier.min(6)).min(LONGEST_PAUSE)
    }
}

/// The places of all platforms, by UID: a namesake that is made later starts anew.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, Arc<Place>>>);

impl Places {
    /// The platform's place, and whether it is new.
    pub(crate) fn of(&self, uid: &str) -> (Arc<Place>, bool) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(uid) {
            return (Arc::clone(place), false);
        }
        let place = Arc::new(Place::default());
        places.insert(uid.to_owned(), Arc::clone(&place));
        (place, true)
    }

    /// Forgets one platform.
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Forgets platforms that are gone without a last pass, as those are that never had the finalizer.
    pub(crate) fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| exists(uid));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The smallest platform.
    pub(crate) fn platform(version: &str, generation: i64) -> HelixPlatform {
        serde_json::from_value(json!({
            "apiVersion": "helix.dev/v1alpha1",
            "kind": "HelixPlatform",
            "metadata": {
                "name": "dev", "namespace": "n", "uid": "u", "resourceVersion": version, "generation": generation,
            },
            "spec": {
                "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"]}},
                "controlPlane": {"placements": [{"serverType": "cax11", "location": "fsn1"}]},
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_newer_of_watched_and_written_counts() {
        let past = Past { written: Some(Arc::new(platform("100", 1))), ..Past::default() };
        let newest = |watched: &str| past.newest(Arc::new(platform(watched, 1))).metadata.resource_version.clone();
        assert_eq!(newest("99").as_deref(), Some("100"), "versions are compared as numbers");
        assert_eq!(newest("101").as_deref(), Some("101"));
    }

    #[test]
    fn only_a_request_of_the_user_is_a_change() {
        let (mut past, none) = (Past::default(), Intents::default());
        assert!(!past.is_asked_anew(&platform("1", 1), &none));
        assert!(!past.is_asked_anew(&platform("2", 1), &none));
        assert!(past.is_asked_anew(&platform("3", 2), &none));
        let mut annotated = platform("4", 2);
        annotated.annotations_mut().insert("helix.dev/approve".to_owned(), "4f1c0a7d".to_owned());
        assert!(past.is_asked_anew(&annotated, &none));
        assert!(!past.is_asked_anew(&annotated, &none));
        let replace = Intents { replace: [7].into(), ..Intents::default() };
        assert!(past.is_asked_anew(&annotated, &replace));
        assert!(!past.is_asked_anew(&annotated, &replace));
    }

    #[test]
    fn pauses_grow_and_start_over() {
        let place = Place::default();
        let pauses: Vec<u64> = (0..8).map(|_| place.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        place.succeeded();
        assert_eq!(place.failed(), Duration::from_secs(1));
    }

    #[test]
    fn a_namesake_starts_anew() {
        let places = Places::default();
        let (first, new) = places.of("u");
        assert!(new && Arc::ptr_eq(&first, &places.of("u").0));
        places.retain(|uid| uid != "u");
        assert!(places.of("u").1);
    }
}

//! What runs in a cluster tells of itself, beyond that it runs: the few Services that Helix asks, and the databases.

use helix_engine::seams::Answer;
use helix_plan::components::Question;
use helix_plan::observed::SavedDatabase;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Inner;
use super::objects::{COMES_UP, is_up, workload};
use crate::world::ServerId;
use crate::world::machine::{HeldObject, ObjectKey};

/// How long after pods were applied what they pull is there.
const PULLED: SignedDuration = SignedDuration::from_secs(60);

impl Inner {
    /// What a Service answers, whose pods are those of the Deployment of its name.
    pub(super) fn answer(&self, server: ServerId, namespace: &str, question: &Question) -> Answer {
        let pods = workload(self.look(server), "Deployment", namespace, question.service);
        let Some(pods) = pods.filter(|held| is_up(held, self.now)) else {
            return Answer { code: 503, body: Vec::new() };
        };
        match question.path {
            "/-/health/ready/" => Answer { code: 200, body: Vec::new() },
            "/api/tags" => {
                let pulled = pods.models.iter().filter(|model| {
                    pods.since + PULLED <= self.now && !self.world.standing_faults().is_model_missing(model)
                });
                let models: Vec<Value> = pulled.map(|model| json!({"name": model})).collect();
                Answer { code: 200, body: json!({"models": models}).to_string().into_bytes() }
            }
            _ => Answer { code: 404, body: Vec::new() },
        }
    }

    /// The databases of a namespace: those with a schedule are backed up as soon as they run, and at every full hour.
    pub(super) fn saved(&self, server: ServerId, namespace: &str) -> Vec<SavedDatabase> {
        let inside = self.look(server);
        let of_kind = |wanted: &'static str| {
            inside.objects.iter().filter(move |(key, _)| key.1 == wanted && key.2.as_deref() == Some(namespace))
        };
        let is_scheduled = |name: &String| of_kind("ScheduledBackup").any(|(key, _)| key.3 == *name);
        let newest = |name: &String, held: &HeldObject| {
            let first = held.since + COMES_UP;
            let hourly = self.now.as_second() / 3_600 * 3_600;
            let latest =
                Timestamp::from_second(hourly).ok().filter(|_| !self.world.standing_faults().is_backup_failing(name));
            (is_scheduled(name) && is_up(held, self.now)).then(|| latest.map_or(first, |latest| latest.max(first)))
        };
        let saved = |(key, held): (&ObjectKey, &HeldObject)| SavedDatabase {
            name: key.3.clone(),
            since: held.since,
            newest: newest(&key.3, held),
        };
        of_kind("Cluster").map(saved).collect()
    }
}

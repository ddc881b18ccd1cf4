//! What became of the last attempts to apply objects: those that the API server writes in its own way seem to differ for
//! ever, and those that were refused for others' fields are not tried again until something about them has changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use helix_plan::observed::ObjectId;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::likeness::{applied_by_us, reflection};

/// Objects of which something is remembered. What is forgotten costs one apply more.
const MOST: usize = 50_000;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was accepted: this is how it is written then.
    Settled,
    /// Others have set these fields.
    Refused(Vec<(String, String)>),
}

struct Attempt {
    /// Of the manifest that was applied.
    digest: String,
    /// Of the object in the cluster after that.
    found: [u8; 32],
    outcome: Outcome,
}

/// The last attempts, by object.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<ObjectId, Attempt>>);

impl Attempts {
    pub(super) fn remember(&self, id: &ObjectId, digest: &str, (manifest, live): (&Value, &Value), outcome: Outcome) {
        let found = fingerprint(manifest, live, &outcome);
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= MOST {
            attempts.clear();
        }
        attempts.insert(id.clone(), Attempt { digest: digest.to_owned(), found, outcome });
    }

    pub(super) fn forget(&self, id: &ObjectId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// What became of the attempt to apply this very manifest, if the object is still as it was after it.
    pub(super) fn outcome(&self, id: &ObjectId, digest: &str, manifest: &Value, live: &Value) -> Option<Outcome> {
        let attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.get(id).filter(|attempt| attempt.digest == digest)?;
        (attempt.found == fingerprint(manifest, live, &attempt.outcome)).then(|| attempt.outcome.clone())
    }
}

/// Of the object's UID, of what is written where the manifest says something, and of who has said which field: nothing that
/// controllers change all the time.
fn fingerprint(manifest: &Value, live: &Value, outcome: &Outcome) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |value: &Value| {
        let text = value.to_string();
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(&live["metadata"]["uid"]);
    add(&reflection(manifest, live));
    match outcome {
        Outcome::Settled => add(applied_by_us(live).unwrap_or(&Value::Null)),
        // Others may have let go of their fields without changing what is in them.
        Outcome::Refused(_) => {
            for entry in live["metadata"]["managedFields"].as_array().into_iter().flatten() {
                if entry["subresource"].is_null() {
                    add(&entry["manager"]);
                    add(&entry["fieldsV1"]);
                }
            }
        }
    }
    hash.finalize().into()
}

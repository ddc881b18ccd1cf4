//! Faults that can be injected: a closed list of what goes wrong at Hetzner, in the machines that boot there and in
//! what runs on them.
//!
//! A fault says what goes wrong and where it strikes; an [`Injection`] says how often. Chance comes from the world's
//! seed, so a failing run is repeated by its seed. How a fault on a call looks on the wire is the servers' business:
//! here it is only matched and counted.

mod calls;
mod components;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::calls::{CallFault, CallPattern};
use crate::world::Rng;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The connection is cut before the call has an effect.
    RequestLost {
        /// Where.
        call: CallPattern,
    },
    /// The call has its effect, then the connection is cut (behaviour 5).
    AnswerLost {
        /// Where.
        call: CallPattern,
    },
    /// The answer comes late.
    AnswerDelayed {
        /// Where.
        call: CallPattern,
        /// By how much, in milliseconds of wall time.
        millis: u64,
    },
    /// The call arrives twice; the caller sees the second answer.
    RequestRepeated {
        /// Where.
        call: CallPattern,
    },
    /// The call has its effect, and the answer is no JSON; of an object, a bit is turned.
    AnswerGarbled {
        /// Where.
        call: CallPattern,
    },
    /// The call has its effect, and the answer's JSON ends in the middle; an object's connection is cut there.
    AnswerTruncated {
        /// Where.
        call: CallPattern,
    },
    /// An error before any effect: any code of the API, or of S3.
    Refused {
        /// Where.
        call: CallPattern,
        /// As on the wire, as in `server_error` (500).
        code: String,
    },
    /// 429 with a reset so many seconds away; at the object store `SlowDown`.
    RateLimited {
        /// Where.
        call: CallPattern,
        /// Seconds until the reset.
        reset_seconds: u32,
    },
    /// The type is marked as not available, and ordering it gives 412 "server location disabled".
    Unorderable {
        /// Absent for all.
        #[serde(default)]
        server_type: Option<String>,
        /// Absent for all.
        #[serde(default)]
        location: Option<String>,
    },
    /// The type is marked as available, but no host has room: 412 "error during placement".
    NoCapacity {
        /// Absent for all.
        #[serde(default)]
        server_type: Option<String>,
        /// Absent for all.
        #[serde(default)]
        location: Option<String>,
        /// Whether the answer is 422 `placement_error` instead.
        #[serde(default)]
        placement_error: bool,
    },
    /// The type is deprecated, and can't be ordered any more once the time has come.
    Retired {
        /// The type.
        server_type: String,
        /// Absent for all.
        #[serde(default)]
        location: Option<String>,
        /// When it stops being sold.
        unavailable_after: Timestamp,
    },
    /// An action ends in error.
    ActionFails {
        /// As in `create_server`; absent for any.
        #[serde(default)]
        command: Option<String>,
        /// Name of a resource that the action is about; absent for any.
        #[serde(default)]
        resource: Option<String>,
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// The server runs, but its guest never comes up.
    NeverBoots {
        /// The server's name; absent for any.
        #[serde(default)]
        server: Option<String>,
    },
    /// Its repository has a chart no more, in no version.
    ChartWithdrawn {
        /// The chart.
        chart: String,
    },
    /// A chart's archives are others than they were, under the versions that they had.
    ChartRepublished {
        /// The chart.
        chart: String,
    },
    /// A PostgreSQL cluster loses its primary, and another instance takes over.
    DatabaseFailsOver {
        /// Name of the cluster; absent for any.
        #[serde(default)]
        cluster: Option<String>,
    },
    /// Longhorn's volumes have no healthy copy any more.
    VolumeFaults {
        /// Name of the volume; absent for all.
        #[serde(default)]
        volume: Option<String>,
    },
    /// The authority refuses certificates.
    CertificateNotIssued {
        /// Name of the certificate; absent for all.
        #[serde(default)]
        certificate: Option<String>,
    },
    /// Applications of Argo CD degrade, whatever their objects say.
    ApplicationDegrades {
        /// Name of the Application; absent for all.
        #[serde(default)]
        application: Option<String>,
    },
    /// Containers end as soon as they start, so that their pods are never ready.
    PodCrashes {
        /// Namespace of the pods; absent for any.
        #[serde(default)]
        namespace: Option<String>,
        /// What the pods' names begin with, as in the name of their Deployment.
        prefix: String,
    },
    /// Backups of PostgreSQL clusters fail.
    BackupFails {
        /// Name of the cluster; absent for all.
        #[serde(default)]
        cluster: Option<String>,
    },
    /// A model is never pulled.
    ModelNotPulled {
        /// Its name, with or without a tag, as it is asked for.
        model: String,
    },
    /// Every token is unknown: 401 `unauthorized`.
    TokenRevoked,
    /// Every token may only read: 401 `token_readonly`.
    TokenReadonly,
}

impl Fault {
    fn on_call(&self, method: &str, path: &str) -> Option<CallFault> {
        let (call, acted) = match self {
            Self::RequestLost { call } => (call, CallFault::RequestLost),
            Self::AnswerLost { call } => (call, CallFault::AnswerLost),
            Self::AnswerDelayed { call, millis } => (call, CallFault::AnswerDelayed { millis: *millis }),
            Self::RequestRepeated { call } => (call, CallFault::RequestRepeated),
            Self::AnswerGarbled { call } => (call, CallFault::AnswerGarbled),
            Self::AnswerTruncated { call } => (call, CallFault::AnswerTruncated),
            Self::Refused { call, code } => (call, CallFault::Refused { code: code.clone() }),
            Self::RateLimited { call, reset_seconds } => {
                (call, CallFault::RateLimited { reset_seconds: *reset_seconds })
            }
            Self::Unorderable { .. }
            | Self::NoCapacity { .. }
            | Self::Retired { .. }
            | Self::ActionFails { .. }
            | Self::NeverBoots { .. }
            | Self::ChartWithdrawn { .. }
            | Self::ChartRepublished { .. }
            | Self::DatabaseFailsOver { .. }
            | Self::VolumeFaults { .. }
            | Self::CertificateNotIssued { .. }
            | Self::ApplicationDegrades { .. }
            | Self::PodCrashes { .. }
            | Self::BackupFails { .. }
            | Self::ModelNotPulled { .. }
            | Self::TokenRevoked
            | Self::TokenReadonly => return None,
        };
        call.matches(method, path).then_some(acted)
    }
}

/// A fault and how often it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Injection {
    /// What goes wrong, and where.
    pub fault: Fault,
    /// So many matching occasions pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// So many times it strikes; absent for always.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely it strikes a matching occasion, of 1000.
    #[serde(default = "always")]
    pub per_mille: u16,
}

const fn always() -> u16 {
    1000
}

impl Injection {
    /// Strikes the next `times` occasions.
    #[must_use]
    pub fn times(fault: Fault, times: u32) -> Self {
        Self { times: Some(times), ..Self::standing(fault) }
    }

    /// Strikes every occasion.
    #[must_use]
    pub fn standing(fault: Fault) -> Self {
        Self { fault, skip: 0, times: None, per_mille: always() }
    }
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    injections: BTreeMap<u64, Injection>,
    last_id: u64,
}

impl Faults {
    /// Puts a fault in force; the number takes it out again.
    pub fn inject(&mut self, injection: Injection) -> u64 {
        self.last_id += 1;
        self.injections.insert(self.last_id, injection);
        self.last_id
    }

    /// Takes a fault out of force; whether there was one.
    pub fn withdraw(&mut self, id: u64) -> bool {
        self.injections.remove(&id).is_some()
    }

    /// Takes all faults out of force.
    pub fn clear(&mut self) {
        self.injections.clear();
    }

    /// What is in force, with what is left of its counts.
    pub fn in_force(&self) -> impl Iterator<Item = (u64, &Injection)> {
        self.injections.iter().map(|(id, injection)| (*id, injection))
    }

    /// The faults that strike a call, in the order of their injection.
    pub fn on_call(&mut self, rng: &mut Rng, method: &str, path: &str) -> Vec<CallFault> {
        let mut struck = Vec::new();
        let ids: Vec<u64> = self.injections.keys().copied().collect();
        for id in ids {
            if let Some(fault) = self.strike(rng, id, |fault| fault.on_call(method, path)) {
                struck.push(fault);
            }
        }
        struck
    }

    /// The code and message with which an action ends in error, if it does.
    pub(crate) fn on_action(&mut self, rng: &mut Rng, command: &str, names: &[String]) -> Option<(String, String)> {
        self.first(rng, |fault| {
            let Fault::ActionFails { command: wanted, resource, code, message } = fault else { return None };
            let matches =
                is(wanted.as_ref(), command) && resource.as_ref().is_none_or(|resource| names.contains(resource));
            matches.then(|| (code.clone(), message.clone()))
        })
    }

    /// Whether an order is refused for want of room, and if so, whether with `placement_error`.
    pub(crate) fn on_order(&mut self, rng: &mut Rng, kind: &str, at: &str) -> Option<bool> {
        self.first(rng, |fault| {
            let Fault::NoCapacity { server_type, location, placement_error } = fault else { return None };
            (is(server_type.as_ref(), kind) && is(location.as_ref(), at)).then_some(*placement_error)
        })
    }

    /// Whether the guest of this server stays down at this boot.
    pub(crate) fn on_boot(&mut self, rng: &mut Rng, name: &str) -> bool {
        self.first(rng, |fault| {
            let Fault::NeverBoots { server } = fault else { return None };
            is(server.as_ref(), name).then_some(())
        })
        .is_some()
    }

    /// Whether the type is offered there. A standing fact: it isn't counted.
    pub(crate) fn is_orderable(&self, kind: &str, at: &str) -> bool {
        !self.injections.values().any(|injection| {
            matches!(&injection.fault, Fault::Unorderable { server_type, location }
                if is(server_type.as_ref(), kind) && is(location.as_ref(), at))
        })
    }

    /// When the type stops being sold there, if it is deprecated.
    pub(crate) fn retirement(&self, kind: &str, at: &str) -> Option<Timestamp> {
        self.injections.values().find_map(|injection| {
            let Fault::Retired { server_type, location, unavailable_after } = &injection.fault else { return None };
            (server_type == kind && is(location.as_ref(), at)).then_some(*unavailable_after)
        })
    }

    /// Whether all tokens are revoked.
    pub(crate) fn tokens_revoked(&self) -> bool {
        self.injections.values().any(|injection| injection.fault == Fault::TokenRevoked)
    }

    /// Whether all tokens may only read.
    pub(crate) fn tokens_readonly(&self) -> bool {
        self.injections.values().any(|injection| injection.fault == Fault::TokenReadonly)
    }

    fn first<T>(&mut self, rng: &mut Rng, strikes: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let ids: Vec<u64> = self.injections.keys().copied().collect();
        ids.into_iter().find_map(|id| self.strike(rng, id, &strikes))
    }

    fn strike<T>(&mut self, rng: &mut Rng, id: u64, strikes: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let injection = self.injections.get_mut(&id)?;
        let struck = strikes(&injection.fault)?;
        if injection.skip > 0 {
            injection.skip -= 1;
            return None;
        }
        if !rng.happens(injection.per_mille) {
            return None;
        }
        if let Some(left) = injection.times.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.injections.remove(&id);
            }
        }
        Some(struck)
    }
}

fn is(wanted: Option<&String>, found: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_segment_by_segment() {
        let pattern = CallPattern::new("POST", "/servers/*/actions/poweron");
        assert!(pattern.matches("POST", "/servers/5/actions/poweron"));
        assert!(!pattern.matches("GET", "/servers/5/actions/poweron"));
        assert!(!pattern.matches("POST", "/servers/5/actions/poweroff"));
        assert!(!pattern.matches("POST", "/servers"));
        assert!(CallPattern::new("get", "/servers/**").matches("GET", "/servers/1/actions"));
        assert!(CallPattern::default().matches("DELETE", "/x"));
    }

    #[test]
    fn a_fault_skips_then_strikes_and_is_used_up() {
        let (mut faults, mut rng) = (Faults::default(), Rng::new(1));
        let fault = Fault::AnswerLost { call: CallPattern::new("POST", "/servers") };
        faults.inject(Injection { skip: 1, ..Injection::times(fault, 2) });
        let struck: Vec<usize> = (0..5).map(|_| faults.on_call(&mut rng, "POST", "/servers").len()).collect();
        assert_eq!(struck, [0, 1, 1, 0, 0]);
        assert_eq!(faults.in_force().count(), 0);
    }

    #[test]
    fn a_fault_reads_from_json() {
        let text = r#"{"fault": {"kind": "answer_lost", "call": {"method": "POST"}}, "times": 1}"#;
        let injection: Injection = serde_json::from_str(text).unwrap();
        assert_eq!(injection.times, Some(1));
        assert_eq!(injection.per_mille, 1000);
    }
}

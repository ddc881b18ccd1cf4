//! Calls that faults strike, and what befalls them.

use serde::{Deserialize, Serialize};

/// Which calls a fault strikes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallPattern {
    /// `GET`, `POST`, …; absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path below `/v1`, `/s3/BUCKET/KEY` at the object store, `/charts/…` at the chart source, `/netbird/api/…` at
    /// NetBird's management service; segment by segment, `*` for any one segment and a last `**` for any rest. Absent
    /// for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl CallPattern {
    /// Calls of `method` on `path`.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.to_owned()) }
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        let path_matches = |pattern: &str| {
            let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
            loop {
                match (wanted.next(), found.next()) {
                    (None, None) | (Some("**"), _) => return true,
                    (Some("*"), Some(_)) => {}
                    (Some(a), Some(b)) if a == b => {}
                    _ => return false,
                }
            }
        };
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(path_matches)
    }
}

/// How a fault on a call is to be acted out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// See [`super::Fault::RequestLost`].
    RequestLost,
    /// See [`super::Fault::AnswerLost`].
    AnswerLost,
    /// See [`super::Fault::AnswerDelayed`].
    AnswerDelayed {
        /// Milliseconds of wall time.
        millis: u64,
    },
    /// See [`super::Fault::RequestRepeated`].
    RequestRepeated,
    /// See [`super::Fault::AnswerGarbled`].
    AnswerGarbled,
    /// See [`super::Fault::AnswerTruncated`].
    AnswerTruncated,
    /// See [`super::Fault::Refused`].
    Refused {
        /// The code on the wire.
        code: String,
    },
    /// See [`super::Fault::RateLimited`].
    RateLimited {
        /// Seconds until the reset.
        reset_seconds: u32,
    },
}

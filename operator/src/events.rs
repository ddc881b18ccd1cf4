//! What people should read about a platform, as Kubernetes events: what the engine did, and what became of its phases.
//!
//! An event is said once, not at every pass; many of a kind in one pass become one. Events are a courtesy: a pass does
//! not fail when one cannot be written, and nothing is decided by them.

use std::collections::{BTreeMap, HashMap};

use helix_crds::{HelixPlatform, HelixPlatformStatus, PhaseState};
use helix_engine::turn;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType, Recorder};

use crate::error::call;

/// The API server refuses longer notes.
const LONGEST_NOTE: usize = 1024;

/// The API server refuses longer actions.
const LONGEST_ACTION: usize = 128;

/// Something that was said is said again only after this long.
const QUIET: SignedDuration = SignedDuration::from_mins(10);

/// From this many on, events of one kind in one pass become one.
const MANY: usize = 8;

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct News {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) warning: bool,
}

impl From<turn::Event> for News {
    fn from(event: turn::Event) -> Self {
        Self { reason: event.reason.to_owned(), message: event.message, warning: event.warning }
    }
}

/// What a change of status says: phases that became Ready, and a platform that became degraded.
pub(crate) fn of_change(before: Option<&HelixPlatformStatus>, after: &HelixPlatformStatus) -> Vec<News> {
    let was_ready = |name| {
        before.is_some_and(|before| before.phases.iter().any(|p| p.name == name && p.state == PhaseState::Ready))
    };
    let became_ready = after.phases.iter().filter(|phase| phase.state == PhaseState::Ready && !was_ready(phase.name));
    let mut news: Vec<News> = became_ready
        .map(|phase| News {
            reason: "PhaseReady".to_owned(),
            message: format!("phase {} is Ready", phase.name),
            warning: false,
        })
        .collect();
    if let Some(degraded) = degraded(after)
        && before.and_then(self::degraded).is_none_or(|before| before.reason != degraded.reason)
    {
        let (reason, message) = (degraded.reason.clone(), degraded.message.clone());
        news.push(News { reason, message, warning: true });
    }
    news
}

fn degraded(status: &HelixPlatformStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == "Degraded" && condition.status == "True")
}

/// Makes one of many: 99 servers that are created at once are one event with a list.
pub(crate) fn condensed(news: Vec<News>) -> Vec<News> {
    let mut kinds: BTreeMap<(bool, String), Vec<News>> = BTreeMap::new();
    for one in news {
        kinds.entry((one.warning, one.reason.clone())).or_default().push(one);
    }
    kinds
        .into_iter()
        .flat_map(|((warning, reason), many)| {
            if many.len() < MANY {
                return many;
            }
            let messages: Vec<&str> = many.iter().map(|one| one.message.as_str()).collect();
            let message = format!("{} times: {}", many.len(), messages.join("; "));
            vec![News { reason, message, warning }]
        })
        .collect()
}

/// What was said about one platform, and when.
#[derive(Debug, Default)]
pub(crate) struct Said(HashMap<News, Timestamp>);

impl Said {
    /// Whether this is to be said now. It counts as said from then on.
    fn is_news(&mut self, news: &News, now: Timestamp) -> bool {
        self.0.retain(|_, at| *at + QUIET > now);
        if self.0.contains_key(news) {
            return false;
        }
        self.0.insert(news.clone(), now);
        true
    }
}

/// Publishes what has not been said about a platform lately.
pub(crate) async fn publish(
    recorder: &Recorder,
    platform: &HelixPlatform,
    said: &mut Said,
    news: Vec<News>,
    now: Timestamp,
) {
    let regarding = platform.object_ref(&());
    for one in condensed(news) {
        if !said.is_news(&one, now) {
            continue;
        }
        let event = Event {
            type_: if one.warning { EventType::Warning } else { EventType::Normal },
            // The recorder takes events of one action for repetitions, whatever their notes say.
            action: cut(&one.message, LONGEST_ACTION),
            note: Some(cut(&one.message, LONGEST_NOTE)),
            reason: one.reason,
            secondary: None,
        };
        if let Err(error) = call("write an event", recorder.publish(&event, &regarding)).await {
            tracing::warn!(reason = error.reason(), "{error}");
        }
    }
}

/// The text, or its beginning where it is longer than so many bytes.
fn cut(text: &str, longest: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= longest {
        return text.to_owned();
    }
    let mut end = longest - ELLIPSIS.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cut = text[..end].to_owned();
    cut.push(ELLIPSIS);
    cut
}

#[cfg(test)]
mod tests {
    use helix_crds::{PhaseName, PhaseStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn news(reason: &str, message: &str) -> News {
        News { reason: reason.to_owned(), message: message.to_owned(), warning: false }
    }

    fn status(state: PhaseState, degraded: Option<&str>) -> HelixPlatformStatus {
        let name = PhaseName::HardenedCore;
        let condition = Condition {
            type_: "Degraded".to_owned(),
            status: if degraded.is_some() { "True" } else { "False" }.to_owned(),
            reason: degraded.unwrap_or("Ready").to_owned(),
            message: "what and how to mend it".to_owned(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        };
        HelixPlatformStatus {
            phases: vec![PhaseStatus { name, state, since: None, message: None, evidence: Vec::new() }],
            conditions: vec![condition],
            ..HelixPlatformStatus::default()
        }
    }

    #[test]
    fn a_thing_is_said_again_only_after_a_while() {
        let mut said = Said::default();
        let start = Timestamp::UNIX_EPOCH;
        assert!(said.is_news(&news("StepFailed", "create server a"), start));
        assert!(said.is_news(&news("StepFailed", "create server b"), start));
        assert!(!said.is_news(&news("StepFailed", "create server a"), start + SignedDuration::from_mins(9)));
        assert!(said.is_news(&news("StepFailed", "create server a"), start + SignedDuration::from_mins(10)));
        assert_eq!(said.0.len(), 1, "what is old is forgotten");
    }

    #[test]
    fn many_of_a_kind_become_one() {
        let few: Vec<News> = (0..MANY - 1).map(|n| news("StepDone", &format!("create server {n}"))).collect();
        assert_eq!(condensed(few.clone()), few);
        let many = (0..20).map(|n| news("StepDone", &format!("s{n}"))).chain([news("Deleted", "all")]).collect();
        let condensed = condensed(many);
        assert_eq!(condensed.len(), 2);
        assert!(condensed[1].message.starts_with("20 times: s0; s1; "), "{condensed:?}");
    }

    #[test]
    fn only_changes_are_said() {
        let (building, ready) = (status(PhaseState::Progressing, None), status(PhaseState::Ready, None));
        assert_eq!(of_change(Some(&building), &building), []);
        assert_eq!(of_change(Some(&building), &ready), [news("PhaseReady", "phase HardenedCore is Ready")]);
        assert_eq!(of_change(Some(&ready), &ready), []);
        let degraded = status(PhaseState::Blocked, Some("TokenSecretMissing"));
        let said = of_change(None, &degraded);
        assert_eq!((said.len(), said[0].reason.as_str(), said[0].warning), (1, "TokenSecretMissing", true));
        assert_eq!(of_change(Some(&degraded), &degraded), []);
        assert_eq!(of_change(Some(&degraded), &status(PhaseState::Blocked, Some("Other"))).len(), 1);
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("short", 128), "short");
        let cut = cut(&"ä".repeat(600), LONGEST_NOTE);
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with("ä…"), "{cut}");
    }
}

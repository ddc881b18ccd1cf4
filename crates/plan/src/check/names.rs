//! Rows about names.

use super::{Subject, steps};
use crate::observed::{CloudFacts, StoreFacts};
use crate::step::{RecordChange, Step};

/// A record that is changed or deleted carries the platform's label, and one that is made gets it.
pub(super) fn only_our_records(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let known = subject.observed.dns.records.value().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |host: &str| known.iter().any(|it| it.host() == host && subject.identity.owns(&it.labels));
    let permitted = |change: &RecordChange| match change {
        RecordChange::Create(record) => subject.identity.owns(&record.labels),
        RecordChange::Set(_) | RecordChange::Delete { .. } => is_ours(&change.host()),
    };
    let changes = steps(subject).filter_map(|step| match step {
        Step::ChangeRecord(change) => Some(change),
        _ => None,
    });
    changes
        .filter(|change| !permitted(change))
        .map(|change| format!("the DNS record {} is not this platform's", change.host()))
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::names::PlatformIdentity;
    use crate::observed::{Fact, Observed, Record};
    use crate::phases::Concern;
    use crate::plan::{Look, Plan, PlanItem};

    #[test]
    fn anothers_record_is_left_alone() {
        let identity = PlatformIdentity { namespace: "n".into(), name: "dev".into(), uid: "mine".into() };
        let theirs = PlatformIdentity { uid: "theirs".into(), ..identity.clone() };
        let record = |name: &str, owner: &PlatformIdentity| Record {
            zone: "example.com".into(),
            name: name.into(),
            addresses: [[203, 0, 113, 9].into()].into(),
            labels: owner.labels(),
        };
        let now = Timestamp::UNIX_EPOCH;
        let mut observed = Observed::nothing(CloudFacts::default(), now);
        observed.dns.records = Fact::known(vec![record("a", &identity), record("b", &theirs)], now);
        let delete = |name: &str| RecordChange::Delete { zone: "example.com".into(), name: name.into() };
        let changes = [
            delete("a"),
            delete("b"),
            RecordChange::Set(record("b", &identity)),
            RecordChange::Create(record("c", &identity)),
            RecordChange::Create(record("d", &theirs)),
        ];
        let found: Vec<usize> = changes
            .into_iter()
            .map(|change| {
                let items = vec![PlanItem { concern: Concern::Names, step: Step::ChangeRecord(change) }];
                let plan = Plan {
                    items,
                    report: crate::report::Report::default(),
                    look: Look::settled(&observed, now),
                    destruction: crate::approval::Destruction::default(),
                    approved: true,
                };
                let subject =
                    Subject { identity: &identity, platform: None, farewell: None, observed: &observed, plan: &plan };
                only_our_records(&subject, &CloudFacts::default(), &StoreFacts::default()).len()
            })
            .collect();
        assert_eq!(found, [0, 1, 1, 0, 1]);
    }
}

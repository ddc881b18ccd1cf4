//! What must hold of plans that take something over or let it go: only what the specification names, only what is nobody
//! else's, and only with all of its own labels.

use helix_crds::labels;

use super::{Subject, steps};
use crate::observed::{CloudFacts, Named, StoreFacts};
use crate::step::Step;

pub(super) fn only_as_named(subject: &Subject<'_>, cloud: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    let adopted = |step: &Step| {
        let Step::AdoptResource { kind, id, labels: wanted, .. } = step else { return None };
        let named = Named { kind: *kind, id: *id };
        let asked_for = subject.platform?.adoptions.iter().any(|adoption| adoption.named == named);
        let Some(adoptee) = subject.observed.adoptees.get(&named).and_then(|fact| fact.value()?.as_ref()) else {
            return Some(format!("{step}, which nobody has looked at"));
        };
        let theirs = adoptee.labels();
        let owner = theirs.get(labels::PLATFORM_UID);
        if !asked_for {
            Some(format!("{step}, which spec.adopt does not name"))
        } else if owner.is_some_and(|uid| *uid != subject.identity.uid) {
            Some(format!("{step}, which is another platform's"))
        } else if !subject.identity.owns(wanted) || theirs.keys().any(|key| !wanted.contains_key(key)) {
            Some(format!("{step} with labels that are not its own and the platform's"))
        } else {
            None
        }
    };
    let released = |step: &Step| {
        let Step::ReleaseResource { kind, id, labels: wanted, .. } = step else { return None };
        let theirs = cloud.labels_of(Named { kind: *kind, id: *id })?;
        let keeps = theirs.iter().all(|(key, value)| key.starts_with("helix.dev/") || wanted.get(key) == Some(value));
        let lost = subject.identity.owns(wanted) || !keeps;
        lost.then(|| format!("{step} with labels that are not just its own"))
    };
    let found = |step: &Step| adopted(step).or_else(|| released(step));
    steps(subject).filter_map(found).collect()
}

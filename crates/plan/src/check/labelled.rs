//! That what is made carries the labels by which it is found again, and no others.

use helix_crds::labels;

use super::{Subject, steps};
use crate::observed::{CloudFacts, StoreFacts};
use crate::step::Step;

/// Labels of what is made: ours, and nothing but what the names of platform, pool and machine say.
pub(super) fn as_ours(subject: &Subject<'_>, _: &CloudFacts, _: &StoreFacts) -> Vec<String> {
    const KNOWN: [&str; 4] = [labels::PLATFORM_UID, labels::PLATFORM, labels::POOL, labels::MACHINE];
    steps(subject)
        .filter_map(|step| match step {
            Step::CreateNetwork(new) => Some((step, &new.labels)),
            Step::CreateFirewall(new) => Some((step, &new.labels)),
            Step::CreateLoadBalancer(new) => Some((step, &new.labels)),
            Step::CreateServer(new) => Some((step, &new.labels)),
            Step::CreateSshKey { labels, .. } | Step::CreatePlacementGroup { labels, .. } => Some((step, labels)),
            _ => None,
        })
        .filter(|(_, labels)| !subject.identity.owns(labels) || labels.keys().any(|key| !KNOWN.contains(&key.as_str())))
        .map(|(step, _)| format!("{step} with labels that are not the platform's own"))
        .collect()
}

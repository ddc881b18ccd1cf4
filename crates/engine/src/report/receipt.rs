//! What becomes of everything that was a platform's, told while it is deleted and when all is gone.
//!
//! The account is kept in the status, not in memory: what is there is written down before it is deleted, and counts as
//! deleted once it is seen to be gone. So nothing is missing from the receipt, wherever an engine was stopped.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::{HelixPlatform, TeardownStatus};
use helix_plan::farewell::Farewell;
use helix_plan::inside::{proved, unproved as unproved_now};
use helix_plan::observed::{CloudFacts, Observed};
use helix_plan::step::ResourceKind;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Event;
use crate::seams::{Receipt, StoreError};

/// Names that a list holds at most.
const LISTED: usize = TeardownStatus::LONGEST_LIST;

/// Why something stays that was asked to stay.
const RETAINED: &str = "spec.onDelete.retain";

/// Names that the event shows.
const SHOWN: usize = 30;

/// The account as it now is; `None` where nobody has been able to look yet.
pub(crate) fn account(platform: &HelixPlatform, observed: &Observed, farewell: &Farewell) -> Option<TeardownStatus> {
    let before = written(platform);
    let Some(cloud) = observed.cloud.value() else { return before.cloned() };
    let left = inventory(cloud, farewell);
    let mut account = before.cloned().unwrap_or_default();
    account.started_at = Some(Time(farewell.began));
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let gone: Vec<String> = account.left.drain(..).filter(|name| !left.contains(name)).collect();
    account.deleted_count = account.deleted_count.saturating_add(number(gone.len()));
    // What an answer promised to be gone may be on its way out still: a fresh reading shows it once more.
    let (back, deleted): (BTreeSet<String>, BTreeSet<String>) =
        account.deleted.drain(..).chain(gone).partition(|name| left.contains(name));
    account.deleted_count = account.deleted_count.saturating_sub(number(back.len()));
    account.deleted = deleted.into_iter().take(LISTED).collect();
    account.kept = kept(account.kept, cloud, farewell, &left);
    account.left = left.into_iter().take(LISTED).collect();
    Some(account)
}

/// What stays where it is, and why. What was let go of, or has lost what it hung on, shows nowhere any more and stands here
/// all the same; what has turned out to be the platform's own after all does not.
fn kept(before: Vec<String>, cloud: &CloudFacts, farewell: &Farewell, left: &BTreeSet<String>) -> Vec<String> {
    let asked = |kind: ResourceKind, name: &String| (format!("{} {name}", kind.words()), RETAINED.to_owned());
    let of = |kind: ResourceKind| farewell.keeps(kind).then_some(kind);
    let balancers = of(ResourceKind::LoadBalancer).into_iter();
    let balancers = balancers.flat_map(|kind| cloud.load_balancers.iter().map(move |it| asked(kind, &it.name)));
    let volumes = of(ResourceKind::Volume).into_iter();
    let volumes = volumes.flat_map(|kind| cloud.volumes.iter().map(move |it| asked(kind, &it.name)));
    let now = balancers.chain(volumes).chain(unproved_now(cloud, farewell));
    let mut kept: BTreeMap<String, String> = before.iter().filter_map(|text| split(text)).collect();
    kept.retain(|name, _| !left.contains(name));
    kept.extend(now);
    kept.into_iter().take(LISTED).map(|(name, why)| format!("{name} ({why})")).collect()
}

/// A name and its reason, as they were put together.
fn split(text: &str) -> Option<(String, String)> {
    let (name, why) = text.strip_suffix(')')?.split_once(" (")?;
    Some((name.to_owned(), why.to_owned()))
}

/// Whether everything that is left has been written down, so that it may be deleted or let go of.
pub(crate) fn is_written_down(platform: &HelixPlatform, account: &TeardownStatus) -> bool {
    let written = written(platform).cloned().unwrap_or_default();
    account.left.iter().all(|name| written.left.contains(name))
        && account.kept.iter().all(|name| written.kept.contains(name))
}

/// The event that names what stays for want of a proof, when something of that kind has newly shown.
pub(crate) fn unproved(platform: &HelixPlatform, account: &TeardownStatus) -> Option<Event> {
    let known = written(platform).map(|written| written.kept.as_slice()).unwrap_or_default();
    let doubtful = |text: &&String| split(text).is_some_and(|(_, why)| why != RETAINED) && !known.contains(text);
    let news: Vec<&str> = account.kept.iter().filter(doubtful).map(String::as_str).take(SHOWN).collect();
    let message = format!("not proved to be this platform's, and so left where it is: {}", news.join("; "));
    (!news.is_empty()).then_some(Event { reason: "NotProved", message, warning: true })
}

fn written(platform: &HelixPlatform) -> Option<&TeardownStatus> {
    platform.status.as_ref()?.teardown.as_ref()
}

/// Everything that is there and is to go, as in `server prod-cp-0`.
fn inventory(cloud: &CloudFacts, farewell: &Farewell) -> BTreeSet<String> {
    let of = |kind: ResourceKind| -> Vec<&String> {
        match kind {
            // What comes from inside the cluster goes, whatever becomes of the API's own.
            ResourceKind::LoadBalancer => {
                let own = cloud.load_balancers.iter().filter(|_| !farewell.keeps(kind));
                own.chain(proved(cloud, farewell)).map(|r| &r.name).collect()
            }
            kind if farewell.keeps(kind) => Vec::new(),
            ResourceKind::Volume => cloud.volumes.iter().map(|r| &r.name).collect(),
            ResourceKind::Server => cloud.servers.iter().map(|r| &r.name).collect(),
            ResourceKind::PlacementGroup => cloud.placement_groups.iter().map(|r| &r.name).collect(),
            ResourceKind::Firewall => cloud.firewalls.iter().map(|r| &r.name).collect(),
            ResourceKind::SshKey => cloud.ssh_keys.iter().map(|r| &r.name).collect(),
            ResourceKind::Network => cloud.networks.iter().map(|r| &r.name).collect(),
        }
    };
    let named = |kind: ResourceKind| of(kind).into_iter().map(move |name| format!("{} {name}", kind.words()));
    ResourceKind::TEARDOWN_ORDER.into_iter().flat_map(named).collect()
}

/// What is stored of the account when the teardown is over.
pub(crate) fn receipt(account: &TeardownStatus, now: Timestamp) -> Receipt {
    Receipt {
        at: now,
        deleted: account.deleted.clone(),
        deleted_count: account.deleted_count,
        kept: account.kept.clone(),
    }
}

/// The event that ends a teardown: what was deleted.
pub(crate) fn told(receipt: &Receipt) -> Event {
    let mut message = match receipt.deleted_count {
        0 => "nothing of the platform is left; there was nothing to delete".to_owned(),
        number => {
            let list: Vec<&str> = receipt.deleted.iter().take(SHOWN).map(String::as_str).collect();
            format!("nothing of the platform is left; deleted {number} resources: {}", list.join(", "))
        }
    };
    let untold = usize::try_from(receipt.deleted_count).unwrap_or(usize::MAX).saturating_sub(SHOWN);
    if untold > 0 {
        message.push_str(&format!(" and {untold} more"));
    }
    if !receipt.kept.is_empty() {
        message.push_str(&format!("; kept: {}", receipt.kept.join(", ")));
    }
    Event { reason: "Deleted", message, warning: false }
}

/// The event that says why there is no receipt.
pub(crate) fn not_stored(error: &StoreError) -> Event {
    let message = format!("the receipt of the deletion is not stored: {error}");
    Event { reason: "ReceiptNotStored", message, warning: true }
}

#[cfg(test)]
mod tests {
    use helix_plan::observed::{Fact, Missing, SshKey};

    use super::*;

    fn platform(teardown: Option<TeardownStatus>) -> HelixPlatform {
        let platform = serde_json::json!({
            "apiVersion": "helix.dev/v1alpha1",
            "kind": "HelixPlatform",
            "metadata": {"name": "dev"},
            "spec": {
                "provider": {"hetzner": {"tokenSecretRef": {"name": "hcloud"}, "apiAllowlist": ["203.0.113.7/32"]}},
                "controlPlane": {"placements": [{"serverType": "cax11", "location": "fsn1"}]},
            },
            "status": {"teardown": teardown},
        });
        serde_json::from_value(platform).unwrap()
    }

    fn observed(keys: impl IntoIterator<Item = u64>) -> Observed {
        let key = |id| SshKey { id, name: format!("k{id:04}"), labels: Default::default() };
        let ssh_keys = keys.into_iter().map(key).collect();
        Observed::nothing(CloudFacts { ssh_keys, ..CloudFacts::default() }, Timestamp::UNIX_EPOCH)
    }

    fn plain() -> Farewell {
        Farewell::plain(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_is_there_is_written_down_first_and_is_deleted_once_it_is_gone() {
        let fresh = platform(None);
        let first = account(&fresh, &observed([1, 2]), &plain()).unwrap();
        assert_eq!(first.left, ["SSH key k0001", "SSH key k0002"]);
        assert!(!is_written_down(&fresh, &first));

        let known = platform(Some(first.clone()));
        assert!(is_written_down(&known, &first));
        let second = account(&known, &observed([2, 3]), &plain()).unwrap();
        assert_eq!((second.deleted.as_slice(), second.deleted_count), (["SSH key k0001".to_owned()].as_slice(), 1));
        assert!(!is_written_down(&known, &second), "one came through late");

        let shown_again = account(&platform(Some(second)), &observed([1, 2, 3]), &plain()).unwrap();
        assert_eq!((shown_again.deleted.len(), shown_again.deleted_count), (0, 0));

        let last = account(&platform(Some(shown_again)), &observed([]), &plain()).unwrap();
        assert!(last.left.is_empty());
        let event = told(&receipt(&last, Timestamp::UNIX_EPOCH));
        assert!(
            event.message.ends_with("deleted 3 resources: SSH key k0001, SSH key k0002, SSH key k0003"),
            "{event:?}"
        );
    }

    #[test]
    fn whoever_could_not_look_takes_nothing_for_gone() {
        let blind = Observed { cloud: Fact::Missing(Missing::NotThereYet), ..observed([]) };
        assert_eq!(account(&platform(None), &blind, &plain()), None);
        let known = platform(account(&platform(None), &observed([1]), &plain()));
        assert_eq!(account(&known, &blind, &plain()), known.status.unwrap().teardown);
    }

    #[test]
    fn lists_are_bounded_and_the_count_is_not() {
        let many = account(&platform(None), &observed(0..700), &plain()).unwrap();
        assert_eq!(many.left.len(), LISTED);
        let some = account(&platform(Some(many)), &observed(500..700), &plain()).unwrap();
        let all = account(&platform(Some(some)), &observed([]), &plain()).unwrap();
        assert_eq!((all.deleted.len(), all.deleted_count), (LISTED, 700));
    }
}

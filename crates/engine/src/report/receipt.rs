//! What becomes of everything that was a platform's, told while it is deleted and when all is gone.
//!
//! The account is kept in the status, not in memory: what is there is written down before it is deleted, and counts as
//! deleted once it is seen to be gone. So nothing is missing from the receipt, wherever an engine was stopped.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::{HelixPlatform, TeardownStatus};
use helix_plan::farewell::Farewell;
use helix_plan::inside::{proved, unproved as unproved_now};
use helix_plan::observed::{CloudFacts, Labelled, Observed, is_adopted};
use helix_plan::phases::teardown;
use helix_plan::step::{MESH, RECORD, ResourceKind};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Event;
use crate::seams::{Receipt, StoreError};

/// Names that a list holds at most.
const LISTED: usize = TeardownStatus::LONGEST_LIST;

/// Why something stays that was asked to stay.
const RETAINED: &str = "spec.onDelete.retain";

/// Why something stays that was there before the platform.
const ADOPTED: &str = "adopted";

/// Why something stays that it uses.
const USED: &str = "used by what was adopted";

/// Names that the event shows.
const SHOWN: usize = 30;

/// The account as it now is; `None` where nobody has been able to look yet.
pub(crate) fn account(platform: &HelixPlatform, observed: &Observed, farewell: &Farewell) -> Option<TeardownStatus> {
    let before = written(platform);
    let Some(cloud) = observed.cloud.value() else { return before.cloned() };
    let mut left = inventory(cloud, farewell);
    let records = observed.dns.records.value().into_iter().flatten();
    left.extend(records.map(|record| format!("{RECORD} {}", record.host())));
    left.extend(of_mesh(observed, before));
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

/// What is left in the account of the mesh; what was, where the account cannot be asked any more.
fn of_mesh(observed: &Observed, before: Option<&TeardownStatus>) -> Vec<String> {
    let of_mesh = format!("{MESH} network ");
    match observed.mesh.value() {
        Some(mesh) => mesh.networks.iter().map(|network| format!("{of_mesh}{}", network.name)).collect(),
        None => {
            let before = before.map(|before| before.left.as_slice()).unwrap_or_default();
            before.iter().filter(|name| name.starts_with(&of_mesh)).cloned().collect()
        }
    }
}

/// What stays where it is, and why. What was let go of, or has lost what it hung on, shows nowhere any more and stands here
/// all the same; what has turned out to be the platform's own after all does not.
fn kept(before: Vec<String>, cloud: &CloudFacts, farewell: &Farewell, left: &BTreeSet<String>) -> Vec<String> {
    let staying = teardown::staying(cloud);
    let why = |it: &Labelled<'_>| match staying.contains(&it.named) {
        true if is_adopted(it.labels) => Some(ADOPTED),
        true => Some(USED),
        false => farewell.keeps(it.named.kind).then_some(RETAINED),
    };
    let ours = cloud.labelled().filter_map(|it| Some((words(it.named.kind, it.name), why(&it)?.to_owned())));
    let mut kept: BTreeMap<String, String> = before.iter().filter_map(|text| split(text)).collect();
    kept.retain(|name, _| !left.contains(name));
    // What was let go of a moment ago hangs on the platform's network still, and is not doubted for that.
    let let_go = |name: &String| kept.get(name).is_some_and(|why| is_known(why));
    let doubtful: Vec<_> = unproved_now(cloud, farewell).into_iter().filter(|(name, _)| !let_go(name)).collect();
    kept.extend(ours.chain(doubtful));
    kept.into_iter().take(LISTED).map(|(name, why)| format!("{name} ({why})")).collect()
}

/// Whether it is by the platform's own account that something stays, and not for want of a proof.
fn is_known(why: &str) -> bool {
    [RETAINED, ADOPTED, USED].contains(&why)
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
    let doubtful = |text: &&String| split(text).is_some_and(|(_, why)| !is_known(&why)) && !known.contains(text);
    let news: Vec<&str> = account.kept.iter().filter(doubtful).map(String::as_str).take(SHOWN).collect();
    let message = format!("not proved to be this platform's, and so left where it is: {}", news.join("; "));
    (!news.is_empty()).then_some(Event { reason: "NotProved", message, warning: true })
}

fn written(platform: &HelixPlatform) -> Option<&TeardownStatus> {
    platform.status.as_ref()?.teardown.as_ref()
}

/// Everything that is there and is to go, as in `server prod-cp-0`.
fn inventory(cloud: &CloudFacts, farewell: &Farewell) -> BTreeSet<String> {
    let staying = teardown::staying(cloud);
    let goes = |it: &Labelled<'_>| !staying.contains(&it.named) && !farewell.keeps(it.named.kind);
    // What comes from inside the cluster goes, whatever becomes of the API's own.
    let from_inside = proved(cloud, farewell).map(|it| words(ResourceKind::LoadBalancer, &it.name));
    cloud.labelled().filter(goes).map(|it| words(it.named.kind, it.name)).chain(from_inside).collect()
}

fn words(kind: ResourceKind, name: &str) -> String {
    format!("{} {name}", kind.words())
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
    use helix_crds::labels;
    use helix_plan::observed::{Fact, LoadBalancer, Missing, Network, PrivateNet, SshKey, Tags, Unlabelled};

    use super::*;
    use crate::report::tests::plain as plain_platform;

    fn platform(teardown: Option<TeardownStatus>) -> HelixPlatform {
        plain_platform(serde_json::json!({"teardown": teardown}))
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

    #[test]
    fn what_was_adopted_is_kept_with_the_reason_and_not_doubted_once_it_is_let_go() {
        let tags = || Tags::from([(labels::ADOPTED.to_owned(), "true".to_owned())]);
        let adopted = |id, labelled: bool| {
            let labels = if labelled { tags() } else { Tags::new() };
            LoadBalancer {
                id,
                name: "office".to_owned(),
                labels,
                kind: "lb11".to_owned(),
                location: "fsn1".to_owned(),
                public: true,
                public_ipv4: None,
                private: vec![PrivateNet { network: 9, ip: None }],
                services: Vec::new(),
                targets: Vec::new(),
                created: None,
            }
        };
        let cidr = "10.0.0.0/16".parse().unwrap();
        let network = Network { id: 9, name: "dev".to_owned(), labels: tags(), cidr, subnets: Vec::new() };
        let cloud = CloudFacts { networks: vec![network], ..CloudFacts::default() };
        let seen = |cloud: CloudFacts| Observed::nothing(cloud, Timestamp::UNIX_EPOCH);

        let held = CloudFacts { load_balancers: vec![adopted(7, true)], ..cloud.clone() };
        let first = account(&platform(None), &seen(held), &plain()).unwrap();
        assert!(first.left.is_empty());
        let kept = ["load balancer office (adopted)", "network dev (adopted)"];
        assert_eq!(first.kept, kept);
        let known = platform(Some(first));
        let unlabelled = Unlabelled { load_balancers: vec![adopted(7, false)], ..Unlabelled::default() };
        let second = account(&known, &seen(CloudFacts { unlabelled, ..cloud }), &plain()).unwrap();
        assert_eq!(second.kept, kept);
        assert_eq!(unproved(&known, &second), None);
    }
}

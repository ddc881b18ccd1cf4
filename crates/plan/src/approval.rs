//! Approval of destructive work: what would be destroyed, under which digest, and whether somebody said yes to it.
//!
//! The digest names the sorted set of destructive work. Who approves it, by the annotation `helix.dev/approve`, approves
//! every part of it; a later plan runs while its set is a part of that and the specification is still the same one.
//! Under `approval: Manual` the set is every change, destructive or not ([`manual`]).

pub mod manual;

use std::collections::BTreeSet;

use helix_crds::labels::APPROVE;
use helix_crds::{ApprovalItem, ApprovalMode, ApprovalStatus, HelixPlatform};
use sha2::{Digest, Sha256};

use crate::guard::{self, Guard};

/// What has been approved so far, as the resource says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approved {
    /// The digest in the annotation `helix.dev/approve`.
    digest: Option<String>,
    /// What was approved earlier, for this very specification.
    items: BTreeSet<ApprovalItem>,
    /// The identity of the specification, 16 hex digits.
    specification: String,
}

impl Approved {
    /// What the resource says: its annotation, and its status as far as that is about the same generation.
    #[must_use]
    pub fn of(platform: &HelixPlatform) -> Self {
        let annotations = platform.metadata.annotations.as_ref();
        let kept = platform.status.as_ref().and_then(|status| status.approval.as_ref());
        let kept = kept.filter(|kept| platform.metadata.generation == Some(kept.generation));
        Self {
            digest: annotations.and_then(|all| all.get(APPROVE)).cloned(),
            items: kept.map(|kept| kept.items.iter().cloned().collect()).unwrap_or_default(),
            specification: name(&[&serde_json::to_vec(&platform.spec).unwrap_or_default()]),
        }
    }
}

impl Approved {
    /// Holds on to the approval of this work, as status does, so that its parts stay approved while they are done.
    pub(crate) fn keep(&mut self, work: &Destruction) {
        if let Some(kept) = work.kept(self, 0) {
            self.items.extend(kept.items);
        }
    }
}

/// Names a sequence of texts, by 16 hex digits.
fn name(parts: &[impl AsRef<[u8]>]) -> String {
    let mut hash = Sha256::new();
    for part in parts.iter().map(AsRef::as_ref) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The work that has to be approved, all of it, whether it can be done now or later: what the specification destroys, or
/// under `approval: Manual` every change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destruction {
    items: BTreeSet<ApprovalItem>,
}

impl Destruction {
    /// The work that consists of these parts.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = ApprovalItem>) -> Self {
        Self { items: items.into_iter().collect() }
    }

    /// Whether nothing has to be approved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Its parts, sorted.
    pub fn items(&self) -> impl Iterator<Item = &ApprovalItem> {
        self.items.iter()
    }

    /// Its name: equal work has equal digests, 16 hex digits.
    #[must_use]
    pub fn digest(&self) -> String {
        let parts = self.items.iter().flat_map(|item| [&item.object, &item.digest, item.disruption.as_str()]);
        name(&parts.collect::<Vec<&str>>())
    }

    /// Whether it may be done.
    #[must_use]
    pub fn is_approved(&self, mode: ApprovalMode, approved: &Approved) -> bool {
        match mode {
            ApprovalMode::Automatic => true,
            ApprovalMode::ManualForDestructive | ApprovalMode::Manual => {
                !guard::holds(Guard::Approval)
                    || self.is_empty()
                    || approved.digest.as_ref() == Some(&self.digest())
                    || self.items.is_subset(&approved.items)
            }
        }
    }

    /// The approval of just this work.
    #[cfg(test)]
    pub(crate) fn as_if_approved(&self) -> Approved {
        Approved { digest: Some(self.digest()), ..Approved::default() }
    }

    /// What status keeps of an approval: the approved set as long as this work is a part of it, this work itself once it
    /// is named by the annotation, and nothing otherwise.
    #[must_use]
    pub fn kept(&self, approved: &Approved, generation: i64) -> Option<ApprovalStatus> {
        let items: &BTreeSet<ApprovalItem> = if approved.digest.as_ref() == Some(&self.digest()) && !self.is_empty() {
            &self.items
        } else {
            Some(&approved.items).filter(|items| !items.is_empty() && self.items.is_subset(items))?
        };
        let digest = Self { items: items.clone() }.digest();
        Some(ApprovalStatus { digest, items: items.iter().cloned().collect(), generation })
    }
}

#[cfg(test)]
mod tests {
    use helix_crds::Disruption;

    use super::*;

    fn item(object: &str) -> ApprovalItem {
        ApprovalItem { object: object.to_owned(), digest: "d".to_owned(), disruption: Disruption::Destroy }
    }

    fn approved(digest: Option<String>, items: &[&str]) -> Approved {
        let items = items.iter().map(|object| item(object)).collect();
        Approved { digest, items, specification: String::new() }
    }

    const MODE: ApprovalMode = ApprovalMode::ManualForDestructive;

    #[test]
    fn nothing_destructive_needs_no_approval() {
        assert!(Destruction::default().is_approved(MODE, &Approved::default()));
    }

    #[test]
    fn an_approval_is_of_one_set_and_its_parts() {
        let both = Destruction::new([item("a"), item("b")]);
        assert!(!both.is_approved(MODE, &Approved::default()));
        assert!(!both.is_approved(MODE, &approved(Some("another".to_owned()), &[])));
        assert!(both.is_approved(MODE, &approved(Some(both.digest()), &[])));
        assert!(Destruction::new([item("b")]).is_approved(MODE, &approved(Some(both.digest()), &["a", "b"])));
        assert!(!Destruction::new([item("c")]).is_approved(MODE, &approved(Some(both.digest()), &["a", "b"])));
        assert!(both.is_approved(ApprovalMode::Automatic, &Approved::default()));
    }

    #[test]
    fn what_was_approved_is_kept_while_its_parts_are_done() {
        let both = Destruction::new([item("a"), item("b")]);
        let kept = both.kept(&approved(Some(both.digest()), &[]), 7).unwrap();
        assert_eq!((kept.digest.clone(), kept.items.len(), kept.generation), (both.digest(), 2, 7));
        let rest = Destruction::new([item("b")]);
        assert_eq!(rest.kept(&approved(Some(both.digest()), &["a", "b"]), 7), Some(kept));
        assert_eq!(Destruction::new([item("c")]).kept(&approved(None, &["a", "b"]), 7), None);
    }
}

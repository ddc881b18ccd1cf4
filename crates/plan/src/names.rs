//! The names by which Helix and its users know things: platforms, pools, machines, and the resources made for them.
//!
//! A name is stable for the life of what it names, because at Hetzner it is the lock that makes creation idempotent.

use std::collections::BTreeMap;
use std::fmt;

use helix_crds::labels::{self, CONTROL_PLANE_POOL};
use serde::{Deserialize, Serialize};

use crate::guard::{self, Guard};

/// Which platform something belongs to: enough to find and to delete everything of it, whatever its spec says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformIdentity {
    /// Namespace of the `HelixPlatform`.
    pub namespace: String,
    /// `metadata.name`, at most 40 characters: it is the prefix of every machine's name.
    pub name: String,
    /// `metadata.uid`: what ownership labels carry, so that a namesake is never mistaken for this platform.
    pub uid: String,
}

impl PlatformIdentity {
    /// The name of the platform's one network, firewall and SSH key.
    #[must_use]
    pub fn base_name(&self) -> String {
        self.name.clone()
    }

    /// The name of the API load balancer.
    #[must_use]
    pub fn load_balancer_name(&self) -> String {
        format!("{}-api", self.name)
    }

    /// The name of a pool's `shard`-th placement group, counted from 0.
    #[must_use]
    pub fn placement_group_name(&self, pool: &str, shard: u32) -> String {
        format!("{}-{pool}-{shard}", self.name)
    }

    /// The name of the machine in `slot` of `pool`.
    #[must_use]
    pub fn machine(&self, pool: &str, slot: u32) -> MachineName {
        MachineName { platform: self.name.clone(), pool: pool.to_owned(), slot }
    }

    /// The machine that has this host name, if it is a name that this platform gives. Who joins under another name, as a
    /// machine of a namesake's pool or one made by hand, is nobody that Helix may change.
    #[must_use]
    pub fn machine_of(&self, hostname: &str) -> Option<MachineName> {
        MachineName::parse(hostname).ok().filter(|machine| machine.platform == self.name)
    }

    /// The labels that every resource of the platform carries at Hetzner.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (labels::PLATFORM_UID.to_owned(), self.uid.clone()),
            (labels::PLATFORM.to_owned(), self.name.clone()),
        ])
    }

    /// The labels of a machine's server.
    #[must_use]
    pub fn machine_labels(&self, machine: &MachineName) -> BTreeMap<String, String> {
        let mut all = self.labels();
        all.insert(labels::POOL.to_owned(), machine.pool.clone());
        all.insert(labels::MACHINE.to_owned(), machine.to_string());
        all
    }

    /// The labels of a resource that is taken over: its own and the platform's, and that it is not of its making.
    #[must_use]
    pub fn adopted_labels(
        &self,
        theirs: &BTreeMap<String, String>,
        machine: Option<&MachineName>,
    ) -> BTreeMap<String, String> {
        let mut all = theirs.clone();
        all.extend(machine.map_or_else(|| self.labels(), |machine| self.machine_labels(machine)));
        all.insert(labels::ADOPTED.to_owned(), "true".to_owned());
        all
    }

    /// Whether labels say that a resource is this platform's.
    #[must_use]
    pub fn owns(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.get(labels::PLATFORM_UID) == Some(&self.uid) || !guard::holds(Guard::OwnedByUid)
    }

    /// Whether labels say that a resource is another platform's that has this one's name.
    #[must_use]
    pub fn is_namesake(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.get(labels::PLATFORM) == Some(&self.name)
            && tags.get(labels::PLATFORM_UID).is_some_and(|uid| *uid != self.uid)
    }

    /// `namespace/name`, for people.
    #[must_use]
    pub fn display_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A machine's stable name, `<platform>-<pool>-<slot>`: server name, hostname, node name and etcd member name in one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MachineName {
    platform: String,
    pool: String,
    slot: u32,
}

/// A text that is no machine name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a machine name: write `<platform>-<pool>-<slot>`, as in `prod-cp-0`")]
pub struct NotAMachineName(String);

impl MachineName {
    /// The platform that the machine belongs to.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The pool that the machine belongs to; `cp` is the control planes'.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// The machine's place in its pool, counted from 0. Slots are reused, never renumbered.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Whether this is a control plane's name.
    #[must_use]
    pub fn is_control_plane(&self) -> bool {
        self.pool == CONTROL_PLANE_POOL
    }

    /// Reads `<platform>-<pool>-<slot>`; the platform's name may hold dashes, the pool's never does.
    ///
    /// # Errors
    /// [`NotAMachineName`] when a part is missing or the slot is not a number in its shortest form.
    pub fn parse(text: &str) -> Result<Self, NotAMachineName> {
        let wrong = || NotAMachineName(text.to_owned());
        let (rest, slot) = text.rsplit_once('-').ok_or_else(wrong)?;
        let (platform, pool) = rest.rsplit_once('-').ok_or_else(wrong)?;
        let number: u32 = slot.parse().map_err(|_| wrong())?;
        if platform.is_empty() || pool.is_empty() || number.to_string() != slot {
            return Err(wrong());
        }
        Ok(Self { platform: platform.to_owned(), pool: pool.to_owned(), slot: number })
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.platform, self.pool, self.slot)
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for MachineName {
    type Error = NotAMachineName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_name_reads_back_as_written() {
        let identity = PlatformIdentity { namespace: "n".into(), name: "my-platform".into(), uid: "u".into() };
        let name = identity.machine("general", 12);
        assert_eq!(name.to_string(), "my-platform-general-12");
        assert_eq!(MachineName::parse("my-platform-general-12"), Ok(name));
    }

    #[test]
    fn only_a_name_that_the_platform_gives_is_its_machine() {
        let identity = PlatformIdentity { namespace: "n".into(), name: "prod".into(), uid: "u".into() };
        assert_eq!(identity.machine_of("prod-cp-0"), Some(identity.machine("cp", 0)));
        for hostname in ["prod", "prod-cp", "prod-cp-00", "prod-eu-cp-0", "staging-cp-0", "laptop"] {
            assert_eq!(identity.machine_of(hostname), None, "{hostname}");
        }
    }

    #[test]
    fn what_is_not_a_machine_name_is_refused() {
        for text in ["", "web", "web-0", "-cp-0", "p--0", "p-cp-", "p-cp-x", "p-cp-01", "p-cp--1"] {
            assert!(MachineName::parse(text).is_err(), "{text}");
        }
    }
}

//! What needs somebody: each block names the object, the reason and the remedy.

mod words;

use jiff::Timestamp;

use super::component::Obstacle;
use super::extensions::ExtensionsMissing;
use super::ports::PortsOpen;
use super::restore::{RestoreRefusal, WayBack};
use crate::approval::Destruction;
use crate::catalogue::Architecture;
use crate::components::Component;
use crate::names::MachineName;
use crate::versions::UpgradeRefusal;

/// Blocks that are told together.
const MOST_TOLD: usize = 12;

/// The longest that one of several blocks is told in, in characters: the whole must fit into a condition.
const LONGEST_OF_SEVERAL: usize = 2_000;

/// Several blocks in words, each with its reason and remedy. What several concerns are blocked by is told once.
pub(super) fn listed(blocks: &[&Block]) -> String {
    let mut told: Vec<String> = Vec::new();
    for block in blocks {
        let text = block.to_string();
        if !told.contains(&text) {
            told.push(text);
        }
    }
    if let [only] = told.as_slice() {
        return only.clone();
    }
    let shown = told.iter().take(MOST_TOLD).enumerate();
    let shown = shown.map(|(index, text)| format!("({}) {}", index + 1, shortened(text)));
    let more = told.len().saturating_sub(MOST_TOLD);
    let more = (more > 0).then(|| format!("and {more} more, which are told when some of these are gone"));
    let all: Vec<String> = shown.chain(more).collect();
    format!("{} things wait for somebody: {}", told.len(), all.join(" "))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_OF_SEVERAL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Something that goes on only when somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Helix cannot do this yet.
    NotImplemented {
        /// What, in words.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// No snapshot boots what is asked for.
    ImageMissing {
        /// As in `v1.13.9`.
        talos_version: String,
        /// First 32 hex digits of the schematic's id.
        schematic: String,
        /// For which architecture.
        architecture: Architecture,
    },
    /// Somebody else's resource has our name.
    ForeignResource {
        /// Kind, in words.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Another platform of our name uses the project.
    Namesake {
        /// Kind of what it has, in words.
        kind: &'static str,
        /// The name of that.
        name: String,
    },
    /// The load balancer is in a network that is not the platform's, and can be in one only.
    AttachedElsewhere {
        /// The load balancer's name.
        name: String,
        /// The network's id.
        network: u64,
    },
    /// What is to be adopted cannot be.
    AdoptionRefused {
        /// What, as in `network 123`.
        resource: String,
        /// Why not.
        why: String,
        /// What to do about it.
        remedy: String,
    },
    /// Servers exist, but the bundle with which they were made is not in the store.
    BundleLost {
        /// How many servers there are.
        servers: usize,
    },
    /// Etcd runs, but the record that it was bootstrapped is not in the store.
    BootstrapRecordLost {
        /// Where it runs.
        machine: MachineName,
    },
    /// The server on which etcd was bootstrapped is gone, and no other member exists.
    EtcdLost {
        /// The machine it was bootstrapped on.
        machine: MachineName,
        /// Its server's id.
        server: u64,
        /// How it can be had again.
        back: WayBack,
    },
    /// So many members are lost that etcd cannot decide anything.
    QuorumLost {
        /// Voters that answer.
        healthy: usize,
        /// All voters.
        voters: usize,
        /// How it can be had again, where its members cannot.
        back: WayBack,
    },
    /// No placement of a pool can be had.
    NoCapacity {
        /// The pool.
        pool: String,
        /// What was tried, as in `cx33 in fsn1`.
        tried: Vec<String>,
    },
    /// A limit of the project.
    LimitExceeded {
        /// What was tried.
        target: String,
        /// Hetzner's words.
        message: String,
    },
    /// The token does not suffice.
    NotPermitted {
        /// What was tried.
        target: String,
        /// Hetzner's words.
        message: String,
    },
    /// A machine that was configured waits for a configuration again.
    LostConfiguration {
        /// The machine.
        machine: MachineName,
    },
    /// Two servers claim to be one machine.
    DuplicateMachine {
        /// The machine.
        machine: MachineName,
        /// Their ids.
        servers: Vec<u64>,
    },
    /// There is no way from what runs to what is wanted.
    UpgradeRefused(UpgradeRefusal),
    /// Destructive work waits for an approval.
    ApprovalNeeded {
        /// The digest that approves it.
        digest: String,
        /// What would be done to what.
        items: Vec<String>,
    },
    /// More machines of a pool are lost than remediation may replace.
    TooManyLost {
        /// The pool.
        pool: String,
        /// How many are lost.
        lost: u32,
        /// How many may be.
        most: u32,
    },
    /// A machine that was disturbed does not come back: nothing further is disturbed.
    RolloutHalted {
        /// The machine.
        machine: MachineName,
        /// Since when it has been disturbed.
        since: Timestamp,
    },
    /// The platform was built, but the project holds nothing of it.
    WrongProject {
        /// The platform's name.
        platform: String,
    },
    /// A restore that was asked for is not made.
    RestoreRefused {
        /// The snapshot, or what the annotation says.
        snapshot: String,
        /// Why.
        refusal: RestoreRefusal,
    },
    /// A plan did not pass its checks.
    PlanRejected {
        /// What the checks found.
        violations: Vec<String>,
    },
    /// Machines run an image without system extensions that a component needs.
    Extensions(ExtensionsMissing),
    /// The admin ports stay open though they are to close.
    Ports(PortsOpen),
    /// Somebody else's file stands where one of the GitOps tree is to be.
    ForeignFile {
        /// The file, from the platform's directory.
        path: String,
        /// The repository's URL.
        repository: String,
    },
    /// There is no GitOps tree that may be published.
    TreeRefused {
        /// Why, and what to do.
        why: String,
    },
    /// Something stands in a component's way.
    Component {
        /// The component.
        component: Component,
        /// What.
        obstacle: Obstacle,
    },
    /// What was tried is refused for as long as it is asked for so.
    Rejected {
        /// What was tried.
        target: String,
        /// A stable word.
        reason: &'static str,
        /// The error, with its remedy.
        message: String,
    },
}

impl Block {
    /// That this work waits for its approval.
    #[must_use]
    pub fn approval_needed(work: &Destruction) -> Self {
        let items = work.items().map(|item| format!("{} ({})", item.object, item.disruption)).collect();
        Self::ApprovalNeeded { digest: work.digest(), items }
    }

    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotImplemented { .. } => "NotImplemented",
            Self::Component { obstacle, .. } => obstacle.reason(),
            Self::Rejected { reason, .. } => reason,
            Self::ForeignFile { .. } => "ForeignFile",
            Self::TreeRefused { .. } => "TreeRefused",
            Self::ImageMissing { .. } => "ImageMissing",
            Self::ForeignResource { .. } => "ForeignResource",
            Self::Namesake { .. } => "PlatformNameTaken",
            Self::AttachedElsewhere { .. } => "AttachedElsewhere",
            Self::AdoptionRefused { .. } => "AdoptionRefused",
            Self::BundleLost { .. } => "SecretBundleLost",
            Self::BootstrapRecordLost { .. } => "BootstrapRecordLost",
            Self::EtcdLost { .. } => "EtcdLost",
            Self::QuorumLost { .. } => "QuorumLost",
            Self::NoCapacity { .. } => "NoCapacity",
            Self::LimitExceeded { .. } => "LimitExceeded",
            Self::NotPermitted { .. } => "NotPermitted",
            Self::LostConfiguration { .. } => "LostConfiguration",
            Self::DuplicateMachine { .. } => "DuplicateMachine",
            Self::UpgradeRefused(refusal) => refusal.reason(),
            Self::ApprovalNeeded { .. } => "ApprovalNeeded",
            Self::TooManyLost { .. } => "TooManyUnhealthy",
            Self::RolloutHalted { .. } => "RolloutHalted",
            Self::WrongProject { .. } => "WrongProject",
            Self::RestoreRefused { .. } => "RestoreRefused",
            Self::Extensions(_) => "ExtensionsMissing",
            Self::Ports(open) => open.reason(),
            Self::PlanRejected { .. } => "PlanRejected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(what: &str) -> Block {
        Block::NotImplemented { what: what.to_owned(), remedy: format!("Leave {what} out.") }
    }

    #[test]
    fn each_of_several_blocks_is_told_with_its_remedy_and_none_twice() {
        let (one, other) = (block("this"), block("that"));
        assert_eq!(listed(&[&one, &one]), one.to_string());
        let told = listed(&[&one, &other, &one]);
        assert_eq!(
            told,
            "2 things wait for somebody: (1) this is not implemented yet. Leave this out. (2) that is not implemented \
             yet. Leave that out."
        );
    }

    #[test]
    fn however_many_there_are_they_fit_into_a_condition() {
        let many: Vec<Block> = (0..40).map(|number| block(&format!("{number}{}", "ü".repeat(5_000)))).collect();
        let told = listed(&many.iter().collect::<Vec<_>>());
        assert!(
            told.starts_with("40 things") && told.ends_with("and 28 more, which are told when some of these are gone")
        );
        assert!(told.chars().count() < 32_768);
    }
}

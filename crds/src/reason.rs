//! Every word that a condition of a platform can have as its reason, in one table: a contract with alerts, and the list of
//! the runbooks in `docs/runbooks/`.
//!
//! The words are chosen where the trouble is found. `cargo xtask docs --check` holds those places against this table, so
//! that none can be added there without a line here and a page for whoever is woken by it.

/// What a reason asks of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Nothing: all is as specified. It has no page.
    Fine,
    /// Nothing yet: it is under way, or was asked to be so. Its page says what if it stays so.
    UnderWay,
    /// To look at the page of the word's name in `docs/runbooks/`.
    Trouble,
}

/// A reason of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The word.
    pub word: &'static str,
    /// What it asks of somebody.
    pub tone: Tone,
    /// What it says, in one line.
    pub says: &'static str,
}

const fn fine(word: &'static str, says: &'static str) -> Reason {
    Reason { word, tone: Tone::Fine, says }
}

const fn under_way(word: &'static str, says: &'static str) -> Reason {
    Reason { word, tone: Tone::UnderWay, says }
}

const fn trouble(word: &'static str, says: &'static str) -> Reason {
    Reason { word, tone: Tone::Trouble, says }
}

/// All reasons, by their words.
pub const REASONS: &[Reason] = &[
    trouble("AccessRefused", "whoever was asked refuses Helix' credentials"),
    trouble("AdoptionRefused", "what is to be adopted cannot be"),
    trouble("ApprovalNeeded", "work waits for somebody to approve it"),
    fine("Approved", "the work that was asked about may be done"),
    trouble("AttachedElsewhere", "the load balancer is in a network that is not the platform's"),
    fine("Available", "requests are left in the token's budget"),
    trouble("BootstrapRecordLost", "etcd runs, but the record of its bootstrap is not in the store"),
    trouble("BranchNotFound", "the Git repository has no such branch"),
    trouble("BranchProtected", "the branch does not take commits of Helix'"),
    trouble("BucketRefused", "the bucket for snapshots refuses what is asked of it"),
    trouble("BucketUnreachable", "the bucket for snapshots does not answer"),
    trouble("ChartDigestMismatch", "a chart is not the one that was first fetched, or pinned"),
    trouble("ChartNotFound", "a repository does not have a chart, or not in that version"),
    trouble("ChartNotRendered", "Helm does not render a chart with these values"),
    trouble("ChartUnusable", "what was fetched is no chart that can be used"),
    trouble("ClaimedTwice", "two components render one and the same object"),
    under_way("Deleting", "the platform is being taken down"),
    trouble("DowngradeRefused", "an older version is asked for than the one that runs"),
    trouble("DuplicateMachine", "two servers claim to be one machine"),
    trouble("EtcdLost", "the only member of etcd is gone"),
    trouble("Exhausted", "no request is left in the token's budget"),
    trouble("ExtensionsMissing", "machines run an image without what a component needs"),
    trouble("FieldConflict", "somebody else owns fields of an object that Helix applies"),
    trouble("ForbiddenObject", "a chart renders an object that Helix does not apply"),
    trouble("ForeignFile", "somebody else's file stands where one of the GitOps tree is to be"),
    trouble("ForeignObject", "an object of that name is in the cluster and not the platform's"),
    trouble("ForeignResource", "a resource of that name is in the project and not the platform's"),
    trouble("GitCredentialsMissing", "the Secret with the credentials of the Git repository cannot be used"),
    trouble("GitRefused", "the Git server refuses the credentials"),
    trouble("HelmMissing", "the program that renders charts cannot be run"),
    trouble("HetznerUnreachable", "Hetzner's API does not answer"),
    trouble("ImageMissing", "no snapshot in the project boots what is asked for"),
    trouble("InvalidEndpoint", "spec.provider.hetzner.endpoint cannot be called"),
    trouble("InvalidSpec", "the specification cannot be acted on as it is written"),
    trouble("InvalidToken", "the token is none that can be sent"),
    under_way("Late", "the newest snapshot or backup is older than its schedule allows"),
    trouble("LimitExceeded", "a limit of the project at Hetzner is reached"),
    trouble("LostConfiguration", "a machine that was configured asks for a configuration again"),
    trouble("MajorVersionRefused", "another major version is asked for than the one that runs"),
    trouble("MarkerUnreadable", "the file that says what is Helix' in the GitOps tree cannot be read"),
    trouble("NoCapacity", "no placement of a pool can be had"),
    under_way("NoCluster", "there is no cluster yet whose etcd could be saved"),
    under_way("NoDatabase", "there is no database yet whose backups could be judged"),
    trouble("NoOtherWayIn", "the admin ports stay open: nothing says from where Helix itself calls"),
    trouble("NotImplemented", "this Helix cannot do yet what is asked for"),
    under_way("NotObserved", "what a phase is judged by could not be seen"),
    trouble("NotPermitted", "the token may not do what is needed"),
    fine("NotRequested", "spec.untilPhase stops before this phase"),
    fine("NothingToApprove", "no planned step needs an approval"),
    under_way("Paused", "spec.paused is true: the platform is left alone"),
    under_way("Pending", "an earlier phase is not Ready"),
    trouble("PlanRejected", "a plan broke an invariant and was not carried out"),
    trouble("PlatformNameTaken", "another platform of the same name uses the project"),
    under_way("Progressing", "work is under way, or something is waited for that ends by itself"),
    trouble("QuorumLost", "so many members are lost that etcd cannot decide anything"),
    fine("Ready", "everything is as specified"),
    trouble("RepositoryNotFound", "the Git repository is not there"),
    trouble("RestoreRefused", "a restore that was asked for is not made"),
    trouble("RolloutHalted", "a machine that was disturbed does not come back"),
    fine("Saved", "backups are made as often as their schedule asks for"),
    trouble("SecretBundleLost", "servers exist, but the bundle they were made with is not in the store"),
    trouble("SecretInTree", "the GitOps tree would hold a secret"),
    trouble("SecretMissing", "a Secret that a component needs is not there"),
    trouble("ServiceExposed", "a chart would open a Service to the world"),
    trouble("ShutOutByFirewall", "the admin ports were closed, Helix was shut out, and they are open again"),
    trouble("SnapshotFailed", "the last snapshot of etcd failed"),
    fine("Supported", "the versions fit each other"),
    trouble("TlsUnavailable", "the certificates of authorities cannot be loaded"),
    trouble("TokenKeyMissing", "the token's Secret has no such key"),
    trouble("TokenSecretForbidden", "the operator may not read the token's Secret"),
    trouble("TokenSecretMissing", "the token's Secret is not there"),
    trouble("TokenSecretUnreachable", "the management cluster does not give the token's Secret"),
    trouble("TooManyUnhealthy", "more machines of a pool are lost than remediation may replace"),
    trouble("TreeRefused", "there is no GitOps tree that may be published"),
    trouble("UnknownValue", "a chart does not know a value that is given to it"),
    trouble("UpgradeSkipsMinor", "the upgrade skips a minor version"),
    trouble("WrongProject", "the platform was built, but the project holds nothing of it"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_each_word_once() {
        assert!(REASONS.is_sorted_by(|one, next| one.word < next.word));
    }

    #[test]
    fn words_are_what_an_api_server_takes_for_a_reason() {
        let fits = |word: &str| word.starts_with(char::is_alphabetic) && word.chars().all(char::is_alphanumeric);
        assert!(REASONS.iter().all(|reason| fits(reason.word) && !reason.says.is_empty()));
    }
}

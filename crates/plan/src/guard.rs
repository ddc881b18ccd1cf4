//! The guards that keep an invariant, by name, and a switch that takes one away: so that the simulation can be tried itself.
//!
//! In every build but the simulation's the switch does not exist and each guard holds: `holds` is constant. The feature
//! `mutations` is the simulation's alone; `cargo xtask tidy` sees to it that no other crate asks for it, and the programs
//! that are released ask `holds` while they are compiled, which cannot be done where the switch exists.

macro_rules! guards {
    ($($(#[$doc:meta])* $guard:ident = $name:literal),* $(,)?) => {
        /// A decision that keeps an invariant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Guard {
            $($(#[$doc])* $guard),*
        }

        impl Guard {
            /// Every guard.
            pub const ALL: &'static [Self] = &[$(Self::$guard),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$guard => $name),*
                }
            }
        }
    };
}

guards! {
    /// A member of etcd goes only if the rest decide without it.
    QuorumMayRemove = "quorum-may-remove",
    /// A member of etcd is away for a while only if the others decide meanwhile.
    QuorumMayPause = "quorum-may-pause",
    /// One control plane is disturbed at a time.
    OneControlPlane = "one-control-plane-at-a-time",
    /// The bootstrap is recorded before it is done.
    BootstrapRecord = "bootstrap-record-first",
    /// Etcd is bootstrapped on the recorded server alone.
    BootstrapOnRecorded = "bootstrap-on-recorded-server",
    /// A bundle is not made anew while servers exist.
    BundleOnce = "bundle-never-made-anew",
    /// Only what carries the platform's UID is its own.
    OwnedByUid = "owned-by-uid",
    /// Destructive work waits for its approval.
    Approval = "approval",
    /// A name is used again only when nothing of its former machine is left.
    NameIsFree = "name-is-free",
    /// Pods leave before their machine is disturbed.
    DrainFirst = "drain-first",
    /// A machine that is replaced leaves after another serves in its place.
    ReplacementFirst = "replacement-first",
    /// Secrets are forgotten when no server is left.
    SecretsLast = "secrets-last",
    /// A restore is made once by what asked for it.
    RestoreOnce = "restore-once",
    /// What is deleted with a platform is written down before.
    WrittenDown = "written-down-first",
    /// What was made inside the cluster is deleted by its proof alone.
    ProofOfOrigin = "proof-of-origin",
    /// What is asked to stay is not deleted.
    RetainedStays = "retained-stays",
    /// A paused platform is left alone.
    Paused = "paused",
    /// Too many lost machines of a pool are not replaced.
    TooManyLost = "too-many-lost",
    /// No machine is emptied that holds the last healthy copy of something.
    LastCopy = "last-copy-stays",
    /// What holds data is not pruned.
    DataStays = "what-holds-data-stays",
}

/// Whether the guard does its work.
#[cfg(not(feature = "mutations"))]
#[must_use]
pub const fn holds(_: Guard) -> bool {
    true
}

#[cfg(feature = "mutations")]
pub use switch::{break_only, holds};

/// One switch for the whole process: a run of the simulation breaks one guard for good.
#[cfg(feature = "mutations")]
mod switch {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Guard;

    /// The number of the broken guard, counted from 1.
    static BROKEN: AtomicUsize = AtomicUsize::new(0);

    /// Breaks this guard and mends all others.
    pub fn break_only(guard: Option<Guard>) {
        BROKEN.store(guard.map_or(0, |guard| guard as usize + 1), Ordering::SeqCst);
    }

    /// Whether the guard does its work.
    #[must_use]
    pub fn holds(guard: Guard) -> bool {
        BROKEN.load(Ordering::Relaxed) != guard as usize + 1
    }
}

//! The platform's repository.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use helix_crds::GitRepository;
use helix_plan::gitops::{Changes, Tree};
use helix_plan::names::PlatformIdentity;
use jiff::Timestamp;

/// What is in the platform's place at the head of its branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The commit, in hex.
    pub revision: String,
    /// What is between it and the tree that is wanted.
    pub changes: Arc<Changes>,
    /// Earlier commits of the branch that are known to have held the same tree, whatever else has changed since.
    pub alike: Vec<String>,
}

/// Git repositories. Credentials are read from the Secret that a repository names, in the platform's namespace, at every
/// call. No history is ever rewritten, and no file written over that Helix has not written.
#[async_trait]
pub trait Git: Send + Sync {
    /// Compares the head of the branch with the tree that is wanted.
    async fn look(
        &self,
        platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
    ) -> Result<Published, GitError>;

    /// Commits the tree to the branch, on its head as it is by then, and tells the commit. One that is there already is
    /// success, and its commit the head.
    ///
    /// # Errors
    /// [`GitError::Foreign`] where it would write over what others have written: nothing is pushed then.
    async fn publish(
        &self,
        platform: &PlatformIdentity,
        repository: &GitRepository,
        tree: &Tree,
        now: Timestamp,
    ) -> Result<String, GitError>;
}

/// Why a repository did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitError {
    /// There are no usable credentials.
    Credentials {
        /// The Secret's name.
        secret: String,
        /// What is wrong with it, without its content.
        why: String,
    },
    /// It does not let us.
    Refused {
        /// Its URL.
        url: String,
        /// Git's words.
        why: String,
    },
    /// There is no such repository, or not for us.
    NoRepository {
        /// Its URL.
        url: String,
    },
    /// There is no such branch.
    NoBranch {
        /// Its URL.
        url: String,
        /// The branch.
        branch: String,
    },
    /// The branch takes no commits from us.
    Protected {
        /// The branch.
        branch: String,
        /// The server's words.
        why: String,
    },
    /// Others push so fast that we never come to it.
    Busy {
        /// The branch.
        branch: String,
    },
    /// Files that others have written stand in the way.
    Foreign {
        /// The first of them.
        path: String,
    },
    /// What marks Helix' own files there cannot be read.
    Marker {
        /// Why not.
        why: String,
    },
    /// A secret would get into it.
    Secret {
        /// The file.
        path: String,
    },
    /// It does not answer.
    Unreachable {
        /// Its URL.
        url: String,
        /// What happened.
        why: String,
    },
    /// There is no Git, or it cannot work where it is.
    NoGit {
        /// What happened.
        why: String,
    },
}

impl std::error::Error for GitError {}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.why(), self.remedy())
    }
}

impl GitError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "GitCredentialsMissing",
            Self::Refused { .. } => "GitRefused",
            Self::NoRepository { .. } => "RepositoryNotFound",
            Self::NoBranch { .. } => "BranchNotFound",
            Self::Protected { .. } => "BranchProtected",
            Self::Busy { .. } => "BranchBusy",
            Self::Foreign { .. } => "ForeignFile",
            Self::Marker { .. } => "MarkerUnreadable",
            Self::Secret { .. } => "SecretInTree",
            Self::Unreachable { .. } => "RepositoryUnreachable",
            Self::NoGit { .. } => "GitMissing",
        }
    }

    /// What happened, as the beginning of a sentence.
    #[must_use]
    pub fn why(&self) -> String {
        match self {
            Self::Credentials { secret, why } => format!("Secret {secret} has no usable credentials: {why}"),
            Self::Refused { url, why } => format!("repository {url} refuses: {why}"),
            Self::NoRepository { url } => format!("there is no repository {url}, or not for these credentials"),
            Self::NoBranch { url, branch } => format!("repository {url} has no branch {branch}"),
            Self::Protected { branch, why } => format!("branch {branch} takes no commit: {why}"),
            Self::Busy { branch } => format!("branch {branch} moved on at every try"),
            Self::Foreign { path } => {
                format!("{path} was made or changed by somebody else, and is not written over")
            }
            Self::Marker { why } => why.clone(),
            Self::Secret { path } => format!("{path} would hold a secret, and is not published"),
            Self::Unreachable { url, why } => format!("repository {url} does not answer: {why}"),
            Self::NoGit { why } => format!("Git cannot be run: {why}"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "Give it the keys username and password",
            Self::Refused { .. } => {
                "Let the credentials of spec.gitops.repository.credentialsSecretRef read and write it"
            }
            Self::NoRepository { .. } => "Correct spec.gitops.repository.url, also where it has moved",
            Self::NoBranch { .. } => "Make it, with a first commit, or name another in spec.gitops.repository.branch",
            Self::Protected { .. } => "Allow the account to push, or write gitops.publish: None and merge yourself",
            Self::Busy { .. } | Self::Unreachable { .. } => "It is tried again",
            Self::Foreign { .. } => "Take it away, or take the change back",
            Self::Marker { .. } => "Take the file away, and what stands in the way of the tree with it",
            Self::Secret { .. } => "Take it out of the values",
            Self::NoGit { .. } => "Install git where the operator runs, and have it in PATH",
        }
    }
}

//! GitHub's API, as far as a directory is published to a branch of a repository without a checkout.
//!
//! What is published is the directory and nothing else; a branch only ever moves forward, and where somebody else has
//! moved it in the meantime the directory goes on top of what is there then. Requests are made one after the other, as
//! GitHub asks of those that write, and none is repeated but for that.
//!
//! Deliberately absent: pull requests, GitHub Apps, force.

mod api;
mod objects;
mod publish;

use std::fmt;
use std::str::FromStr;

pub use publish::Published;

use api::Api;
use helix_plan::secrets::Secret;

/// Where GitHub's own API is.
pub const GITHUB: &str = "https://api.github.com";

/// A repository, as in `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryName(String);

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RepositoryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let known = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
            !name.is_empty() && name.chars().all(known) && ![".", ".."].contains(&name)
        };
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => Ok(Self(text.to_owned())),
            Some(_) | None => Err("write OWNER/NAME, as in octocat/hello-world".to_owned()),
        }
    }
}

/// A branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchName(String);

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BranchName {
    type Err = String;

    /// Fewer names than Git knows: none that has to be written differently in a URL.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
        let parts_are_names = text.split('/').all(|part| {
            !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.') && !part.ends_with(".lock")
        });
        if text.chars().all(known) && parts_are_names && !text.contains("..") {
            return Ok(Self(text.to_owned()));
        }
        Err("write a branch's name of letters, digits, -, _, . and /, without refs/heads/ before it".to_owned())
    }
}

/// Why a directory was not published. `why` is what GitHub or the system says.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// Nothing was asked.
    #[error("{url} cannot be asked: {why}")]
    NoClient {
        /// The API's address.
        url: String,
        /// What stands against it.
        why: String,
    },
    /// There was no answer, or one of a fault.
    #[error(
        "{url} cannot be reached: {why}; nothing says whether the branch was moved: publish again, which changes nothing twice"
    )]
    Unreachable {
        /// The API's address.
        url: String,
        /// What failed.
        why: String,
    },
    /// The answer is none of GitHub's.
    #[error("{url} answered something that cannot be read: {why}; is this the address of a GitHub API?")]
    Unreadable {
        /// The API's address.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// Nobody has this token.
    #[error("{url} does not know the token: {why}; make a new one")]
    TokenRefused {
        /// The API's address.
        url: String,
        /// What GitHub says.
        why: String,
    },
    /// The token may read and not write.
    #[error(
        "the token may not write to {repository}: {why}; give it `Contents: read and write` there (a fine-grained token), \
         or the scope `repo` (a classic one)"
    )]
    NotPermitted {
        /// Where to.
        repository: RepositoryName,
        /// What GitHub says.
        why: String,
    },
    /// GitHub does not tell what is not there from what may not be seen.
    #[error(
        "there is no repository {repository}, or the token may not see it; correct the name, or give the token access"
    )]
    NoRepository {
        /// Which.
        repository: RepositoryName,
    },
    /// Git's data cannot be written before there is a commit.
    #[error("{repository} has no commit yet, and GitHub takes none from here then; make a first commit on any branch")]
    EmptyRepository {
        /// Which.
        repository: RepositoryName,
    },
    /// A rule keeps the branch where it is.
    #[error(
        "branch {branch} of {repository} is protected: {why}; let this token's owner bypass the rule, or choose another \
         --branch"
    )]
    Protected {
        /// Whose branch.
        repository: RepositoryName,
        /// Which.
        branch: BranchName,
        /// What GitHub says.
        why: String,
    },
    /// There were too many calls.
    #[error("{url} takes no more calls for now: {why}; publish again later")]
    RateLimited {
        /// The API's address.
        url: String,
        /// What GitHub says.
        why: String,
    },
    /// For any other reason.
    #[error("{repository} refuses it: {why}")]
    Refused {
        /// Which.
        repository: RepositoryName,
        /// What GitHub says.
        why: String,
    },
    /// Others move the branch all the time.
    #[error(
        "branch {branch} of {repository} was moved by others {attempts} times while this was published; publish again when \
         they are done"
    )]
    Busy {
        /// Whose branch.
        repository: RepositoryName,
        /// Which.
        branch: BranchName,
        /// How often it was tried.
        attempts: u32,
    },
    /// No file was given.
    #[error("there is nothing to publish: an empty directory would take all files of the branch away")]
    Nothing,
}

/// One repository at GitHub, as a token sees it.
#[derive(Debug)]
pub struct GitHub {
    api: Api,
}

impl GitHub {
    /// A client; sends nothing yet. `url` is the API's address, as in [`GITHUB`].
    ///
    /// # Errors
    /// [`GitHubError::NoClient`] when the address may not be asked, or the token is none.
    pub fn connect(url: &str, repository: RepositoryName, token: &Secret) -> Result<Self, GitHubError> {
        Ok(Self { api: Api::connect(url, repository, token)? })
    }
}

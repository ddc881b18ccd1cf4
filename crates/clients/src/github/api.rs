//! Calls on one repository: one attempt each, bounded in time, with the answer or a typed reason.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use helix_plan::secrets::Secret;
use octocrab::Octocrab;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::{GitHubError, RepositoryName};
use crate::outbound::{Clients, IN_THE_CLEAR, may_be_asked};

/// From the first byte sent to the last byte read; a request may carry megabytes.
const PATIENCE: Duration = Duration::from_secs(90);

/// A repository.
pub(super) struct Api {
    client: Octocrab,
    url: String,
    pub(super) repository: RepositoryName,
}

impl fmt::Debug for Api {
    /// Without the client, which holds the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("url", &self.url).field("repository", &self.repository).finish_non_exhaustive()
    }
}

/// What came of a call that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// GitHub says no.
    Status {
        code: StatusCode,
        why: String,
        /// There were too many calls.
        too_many: bool,
    },
    /// There is no answer.
    Unreachable(String),
    /// There is one, but not of this kind.
    Unreadable(String),
}

impl Failure {
    pub(super) fn code(&self) -> Option<StatusCode> {
        match self {
            Self::Status { code, too_many: false, .. } => Some(*code),
            Self::Status { .. } | Self::Unreachable(_) | Self::Unreadable(_) => None,
        }
    }

    /// What GitHub says.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Status { why, .. } | Self::Unreachable(why) | Self::Unreadable(why) => why,
        }
    }
}

impl Api {
    pub(super) fn connect(url: &str, repository: RepositoryName, token: &Secret) -> Result<Self, GitHubError> {
        let unusable = |why: String| GitHubError::NoClient { url: url.to_owned(), why };
        let place: Url = url.parse().map_err(|error| unusable(format!("it is no URL: {error}")))?;
        if !may_be_asked(&place) {
            return Err(unusable(format!("{IN_THE_CLEAR}: the token would be there for all to read")));
        }
        let http = Clients::new().map_err(|error| unusable(error.to_string()))?.of(&place).clone();
        let builder = Octocrab::builder().personal_token(token.expose().trim());
        let builder =
            builder.base_uri(place.as_str().trim_end_matches('/')).map_err(|error| unusable(cause(&error)))?;
        // What it says of a token that fits into no header does not hold the token.
        let client = builder.build_with_reqwest(http).map_err(|error| unusable(cause(&error)))?;
        Ok(Self { client, url: url.to_owned(), repository })
    }

    /// The path of something of this repository.
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.repository)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, rest: &str) -> Result<T, Failure> {
        bounded(self.client.get(self.path(rest), None::<&()>)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, rest: &str, body: &Value) -> Result<T, Failure> {
        bounded(self.client.post(self.path(rest), Some(body))).await
    }

    pub(super) async fn patch<T: DeserializeOwned>(&self, rest: &str, body: &Value) -> Result<T, Failure> {
        bounded(self.client.patch(self.path(rest), Some(body))).await
    }

    /// What a failure means where nothing else is known of it. GitHub answers with 404 what a token may not see, and with
    /// either code what it may not change.
    pub(super) fn error(&self, failure: Failure) -> GitHubError {
        let (url, repository) = (self.url.clone(), self.repository.clone());
        match failure {
            Failure::Unreachable(why) => GitHubError::Unreachable { url, why },
            Failure::Unreadable(why) => GitHubError::Unreadable { url, why },
            Failure::Status { too_many: true, why, .. } => GitHubError::RateLimited { url, why },
            Failure::Status { code: StatusCode::UNAUTHORIZED, why, .. } => GitHubError::TokenRefused { url, why },
            Failure::Status { code: StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, why, .. } => {
                GitHubError::NotPermitted { repository, why }
            }
            Failure::Status { code: StatusCode::CONFLICT, .. } => GitHubError::EmptyRepository { repository },
            Failure::Status { code, why, .. } if code.is_server_error() => GitHubError::Unreachable { url, why },
            Failure::Status { why, .. } => GitHubError::Refused { repository, why },
        }
    }
}

async fn bounded<T>(call: impl Future<Output = octocrab::Result<T>>) -> Result<T, Failure> {
    match timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(Failure::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

fn failure(error: octocrab::Error) -> Failure {
    match error {
        octocrab::Error::GitHub { source, .. } => {
            let header = |name: &str| source.headers.as_ref().and_then(|headers| headers.get(name));
            let none_left = header("x-ratelimit-remaining").is_some_and(|left| left == "0");
            let is_limit = source.status_code == StatusCode::TOO_MANY_REQUESTS
                || (source.status_code == StatusCode::FORBIDDEN && (none_left || header("retry-after").is_some()));
            Failure::Status { code: source.status_code, why: source.message, too_many: is_limit }
        }
        error @ (octocrab::Error::Json { .. } | octocrab::Error::Serde { .. }) => Failure::Unreadable(cause(&error)),
        error => Failure::Unreachable(cause(&error)),
    }
}

/// The innermost error says why; the outer ones that something failed.
fn cause(error: &octocrab::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

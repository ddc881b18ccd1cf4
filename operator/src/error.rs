//! What can go wrong in the operator itself: at its start, and with the management cluster's API during a pass.
//!
//! What goes wrong with a platform is not here: that is a condition in its status.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long one call of the management cluster's API may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the operator does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no management cluster to work for.
    #[error("no management cluster: {0}. Set KUBECONFIG, or run the operator in a pod with a service account")]
    Config(#[source] kube::config::InferConfigError),
    /// The client could not be made.
    #[error("the management cluster's client cannot be made: {0}. Check the credentials in the kubeconfig")]
    Client(#[source] kube::Error),
    /// Object stores cannot be spoken to.
    #[error(transparent)]
    ObjectStores(#[from] helix_clients::s3::SetUpError),
    /// Charts cannot be fetched and kept.
    #[error("{0}. Choose another directory with --chart-cache")]
    Charts(#[from] helix_clients::charts::SetUpError),
    /// There is nowhere to keep Git repositories.
    #[error("{0}. Choose a directory that can be written to with --git-dir")]
    Git(#[from] helix_clients::git::SetUpError),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}. Choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The address file cannot be written.
    #[error("{} cannot be written: {source}. Choose another with --address-file", path.display())]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    /// Another process leads, or this one could not renew its lease in time.
    #[error("the lease is lost ({0}); a restart stands by for it again")]
    LeaseLost(#[source] crate::lease::Lost),
}

impl StartError {
    /// A stable word for logs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Config(_) => "NoCluster",
            Self::Client(_) => "NoClient",
            Self::ObjectStores(_) => "NoObjectStores",
            Self::Charts(_) => "NoCharts",
            Self::Git(_) => "NoGitDirectory",
            Self::Listen { .. } => "CannotListen",
            Self::AddressFile { .. } => "CannotWriteAddress",
            Self::Signals(_) => "NoSignals",
            Self::LeaseLost(_) => "LeaseLost",
        }
    }
}

/// A call of the management cluster's API that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The API server refused it, or did not answer.
    #[error("{what}: {source}")]
    Failed {
        /// What was to be done.
        what: &'static str,
        /// What was answered.
        source: Box<kube::Error>,
    },
    /// There was no answer in time.
    #[error("{what}: no answer of the management cluster within {} s", CALL_TIMEOUT.as_secs())]
    TimedOut {
        /// What was to be done.
        what: &'static str,
    },
}

impl CallError {
    /// A stable word for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self.code() {
            Some(409) => "Conflict",
            Some(404) => "NotFound",
            Some(401 | 403) => "Forbidden",
            Some(_) => "Refused",
            None => "Unreachable",
        }
    }

    /// Whether the object is not there (any more).
    pub(crate) fn is_absent(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the object is not what it was when it was read.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::TimedOut { .. } => None,
        }
    }
}

/// Makes a call of the management cluster's API, for a bounded time. `what` is what it does, for people.
pub(crate) async fn call<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(outcome) => outcome.map_err(|source| CallError::Failed { what, source: Box::new(source) }),
        Err(_) => Err(CallError::TimedOut { what }),
    }
}

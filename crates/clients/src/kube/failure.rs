//! What a failed call of a Kubernetes API means: it refused, its identity or ours is wrong, or it did not answer.
//!
//! Told apart by status codes and error types, never by the text of a message.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::time::Duration;

use kube::core::Status;
use rustls::{AlertDescription, Error as TlsError};

/// How long one call may take in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a call failed. Texts hold no content of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The API server answered with an error.
    Refused {
        /// HTTP status.
        code: u16,
        /// Its words.
        why: String,
    },
    /// One side does not accept the other's certificate.
    Identity {
        /// What TLS says.
        why: String,
    },
    /// There was no answer, or none that can be read.
    Unreachable {
        /// What happened.
        why: String,
    },
}

/// Runs a call for a bounded time.
pub(super) async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(outcome) => outcome.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::Unreachable { why: format!("no answer within {} s", CALL_TIMEOUT.as_secs()) }),
    }
}

/// `None` for what is not there.
pub(super) fn absent_is_none<T>(outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Failure::Refused { code: 404, .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl Failure {
    pub(super) fn of(error: &kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            return Self::Refused { code: status.code, why: words(status) };
        }
        // Serde's messages may quote what they complain about, and that may be a Secret.
        if matches!(error, kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) {
            return Self::Unreachable { why: "it answered something that cannot be read".to_owned() };
        }
        let mut deepest: &(dyn StdError + 'static) = error;
        loop {
            if let Some(tls) = tls_error(deepest)
                && is_about_identity(tls)
            {
                return Self::Identity { why: tls.to_string() };
            }
            match deepest.source() {
                Some(inner) => deepest = inner,
                None => {
                    return Self::Unreachable { why: deepest.to_string() };
                }
            }
        }
    }

    pub(super) fn why(self) -> String {
        match self {
            Self::Refused { code, why } => format!("{code}: {why}"),
            Self::Identity { why } | Self::Unreachable { why } => why,
        }
    }
}

/// The message, and the causes that it does not tell itself: which disruption budget keeps a pod, for one.
fn words(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    let untold = causes.filter(|cause| !cause.is_empty() && !status.message.contains(cause));
    std::iter::once(status.message.as_str()).chain(untold).collect::<Vec<_>>().join(" ")
}

/// An I/O error that wraps another error does not have it as its source, but within, and there may be several wraps.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    error.downcast_ref().or_else(|| tls_error(error.downcast_ref::<io::Error>()?.get_ref()?))
}

fn is_about_identity(error: &TlsError) -> bool {
    const ALERTS: [AlertDescription; 7] = [
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::UnknownCA,
        AlertDescription::CertificateRequired,
    ];
    matches!(error, TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented)
        || matches!(error, TlsError::AlertReceived(alert) if ALERTS.contains(alert))
}

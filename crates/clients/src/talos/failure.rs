//! From how a call failed to what it means.
//!
//! Two sources: the gRPC status by its code, and the [`Breakage`] that the connection recorded, by its type. The
//! transport flattens the latter to text on its way up, which is why the connection records it.

use std::net::Ipv4Addr;
use std::time::Duration;

use helix_engine::seams::TalosError;
use rustls::AlertDescription;
use tonic::{Code, Status};

/// How a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// With a status, from the machine or from the connection.
    Status(Status),
    /// There was no answer in the time given.
    TimedOut(Duration),
}

/// What last broke a connection, or kept it from coming about.
#[derive(Clone, Debug)]
pub(super) enum Breakage {
    /// TLS: a certificate that is not accepted, or an alert from the other side.
    Tls(rustls::Error),
    /// Anything below TLS.
    Io(std::io::ErrorKind),
    /// No connection in the time given.
    TimedOut(Duration),
}

impl Failure {
    /// The seam's error for a call over the line to `address`, which was meant for `node` where that forwards. It is about
    /// the one where the call ended.
    pub(super) fn into_error(
        self,
        address: Ipv4Addr,
        node: Option<Ipv4Addr>,
        breakage: Option<&Breakage>,
    ) -> TalosError {
        match self {
            Self::TimedOut(bound) => match breakage {
                Some(breakage) => broken(address, breakage),
                None => unreachable_in(node.unwrap_or(address), bound),
            },
            // A status that the machine sent has no source; one that the connection made has its error as source.
            Self::Status(status) => match (std::error::Error::source(&status), breakage) {
                (Some(_), Some(breakage)) => broken(address, breakage),
                (Some(_), None) => answered(address, None, &status),
                (None, _) => answered(address, node, &status),
            },
        }
    }
}

fn unreachable_in(address: Ipv4Addr, bound: Duration) -> TalosError {
    TalosError::Unreachable { address, why: format!("no answer within {} s", bound.as_secs()) }
}

fn broken(address: Ipv4Addr, breakage: &Breakage) -> TalosError {
    match breakage {
        Breakage::Io(kind) => TalosError::Unreachable { address, why: kind.to_string() },
        Breakage::TimedOut(bound) => unreachable_in(address, *bound),
        Breakage::Tls(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            TalosError::Unauthenticated { address }
        }
        Breakage::Tls(rustls::Error::AlertReceived(alert)) if refuses_our_certificate(*alert) => {
            TalosError::WrongAuthority { address, why: format!("it refused our certificate ({alert:?})") }
        }
        Breakage::Tls(rustls::Error::InvalidCertificate(problem)) => {
            TalosError::WrongAuthority { address, why: format!("its certificate is not valid here ({problem:?})") }
        }
        Breakage::Tls(error) => TalosError::Unreachable { address, why: error.to_string() },
    }
}

/// The alerts by which a server says that it does not accept the client's certificate.
fn refuses_our_certificate(alert: AlertDescription) -> bool {
    [
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateRevoked,
        AlertDescription::CertificateExpired,
        AlertDescription::CertificateUnknown,
        AlertDescription::UnknownCA,
        AlertDescription::AccessDenied,
        AlertDescription::DecryptError,
    ]
    .contains(&alert)
}

fn answered(line: Ipv4Addr, node: Option<Ipv4Addr>, status: &Status) -> TalosError {
    let (address, why) = (node.unwrap_or(line), status.message().to_owned());
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => match node {
            Some(address) => TalosError::NodeUnreachable { address, through: line, why },
            None => TalosError::Unreachable { address, why },
        },
        Code::PermissionDenied | Code::Unauthenticated => TalosError::PermissionDenied { address, why },
        Code::FailedPrecondition => TalosError::NotReady { address, why },
        Code::InvalidArgument => TalosError::Invalid { address, why },
        code @ (Code::Ok
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss) => TalosError::Other { address, code: format!("{code:?}"), why },
    }
}

//! Who calls, and what they may: roles are the Subject O of the client certificate, and each method names those that
//! suffice. A method that is not listed needs `os:admin`.

use tonic::Status;

use super::wire::common;
use crate::world::machine::{RpcCode, RpcError};

/// May do everything.
pub const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
/// May look, and is what everybody is in maintenance.
pub const READER: &str = "os:reader";
const BACKUP: &str = "os:etcd:backup";

/// The caller of one connection.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The roles of the certificate.
    pub roles: Vec<String>,
    /// Whether the machine was in maintenance when the connection was made.
    pub maintenance: bool,
}

const READERS: &[&str] = &[ADMIN, OPERATOR, READER];

/// The roles of which one suffices for a method.
fn sufficient(method: &str) -> &'static [&'static str] {
    match method {
        "Events" | "ServiceList" | "Version" | "State" => READERS,
        "ApplyConfiguration" => &[ADMIN, READER],
        "EtcdMemberList" | "EtcdStatus" => &[ADMIN, OPERATOR, READER, BACKUP],
        "EtcdSnapshot" => &[ADMIN, OPERATOR, BACKUP],
        "ImagePull" | "Reboot" | "ServiceRestart" | "Shutdown" => &[ADMIN, OPERATOR],
        _ => &[ADMIN],
    }
}

impl Caller {
    /// Somebody without a certificate, whom maintenance lets read.
    #[must_use]
    pub fn of_maintenance() -> Self {
        Self { roles: vec![READER.to_owned()], maintenance: true }
    }

    /// Whether the caller may use a method.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub fn may(&self, method: &str) -> Result<(), Status> {
        match self.has_any(sufficient(method)) {
            true => Ok(()),
            false => Err(Status::permission_denied("not authorized")),
        }
    }

    /// Whether the caller is an administrator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has_any(&[ADMIN])
    }

    fn has_any(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }
}

/// A machine's refusal as gRPC says it.
#[must_use]
pub fn status(error: RpcError) -> Status {
    let RpcError { code, message } = error;
    match code {
        RpcCode::InvalidArgument => Status::invalid_argument(message),
        RpcCode::NotFound => Status::not_found(message),
        RpcCode::AlreadyExists => Status::already_exists(message),
        RpcCode::PermissionDenied => Status::permission_denied(message),
        RpcCode::FailedPrecondition => Status::failed_precondition(message),
        RpcCode::Unimplemented => Status::unimplemented(message),
        RpcCode::Unavailable => Status::unavailable(message),
        RpcCode::Unknown => Status::unknown(message),
    }
}

/// The metadata of an answer that several machines gave.
#[must_use]
pub fn metadata(hostname: &str, error: Option<&Status>) -> common::Metadata {
    common::Metadata { hostname: hostname.to_owned(), error: error.map(ToString::to_string).unwrap_or_default() }
}

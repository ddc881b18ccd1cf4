//! Why a machine refuses a call, in gRPC's terms but without gRPC.

use std::fmt;

/// The gRPC codes that a machine answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcCode {
    /// `INVALID_ARGUMENT`
    InvalidArgument,
    /// `NOT_FOUND`
    NotFound,
    /// `ALREADY_EXISTS`
    AlreadyExists,
    /// `PERMISSION_DENIED`
    PermissionDenied,
    /// `FAILED_PRECONDITION`
    FailedPrecondition,
    /// `UNIMPLEMENTED`
    Unimplemented,
    /// `UNAVAILABLE`
    Unavailable,
    /// `UNKNOWN`: what Talos gives for an error without a code.
    Unknown,
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// What clients match.
    pub code: RpcCode,
    /// What people read.
    pub message: String,
}

impl RpcError {
    /// An error of the given code.
    #[must_use]
    pub fn new(code: RpcCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for RpcError {}

//! Where secrets come from: the seam for everything that needs randomness or a signature.
//!
//! The plan only says that a bundle, a certificate or a key is wanted. [`PkiMaker`] makes real ones; the in-process
//! simulation has a maker of its own whose values need no cryptography. Where secrets are kept is the store's matter.

mod hubble;
mod keys;
mod pki;
#[cfg(test)]
mod tests;
mod values;

use std::time::Duration;

use async_trait::async_trait;
use helix_plan::secrets::{Authorities, ClientCertificate, Secret, SecretBundle};
use jiff::Timestamp;

pub use pki::PkiMaker;
pub(crate) use values::{Sources, Trouble};

/// How long a bundle's authorities are valid: ten years, as Talos makes them.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(87_600 * 3_600);

/// How long a certificate of Hubble's is valid: a year, as the administrator's.
pub const HUBBLE_VALIDITY: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What a certificate permits at the Talos API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalosRole {
    /// Everything.
    Admin,
    /// Everything that changes nothing and is not secret.
    Reader,
}

impl TalosRole {
    /// The role as the certificate's organization says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "os:admin",
            Self::Reader => "os:reader",
        }
    }
}

/// Who a client certificate says that its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// A client of the Talos API; signed by the OS authority.
    Talos(TalosRole),
    /// An administrator (group `system:masters`) of the Kubernetes API; signed by the Kubernetes authority.
    KubernetesAdmin {
        /// The user's name, as audit logs show it.
        user: String,
    },
}

/// A certificate for Hubble. Its `Debug` shows no key, for [`Secret`] redacts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubbleCertificate {
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: Secret,
}

/// Makes secrets.
///
/// # Guarantees
/// What is made is new: two calls never give the same key, token or serial number. Nothing is kept, and no error or
/// `Debug` output holds a secret. Time comes in as `now`; a certificate's validity begins a little before it, because
/// the clock of whoever checks it may be behind.
#[async_trait]
pub trait SecretMaker: Send + Sync {
    /// Makes a bundle: every authority, key and token that a cluster is founded on. May take a second.
    async fn make_bundle(&self, now: Timestamp) -> Result<SecretBundle, SecretMakerError>;

    /// Makes the authorities that a rotation puts in the place of those in force.
    fn make_authorities(&self, now: Timestamp) -> Result<Authorities, SecretMakerError>;

    /// Makes an SSH key and gives its public half as a line for `authorized_keys`, ending in `comment`. The private
    /// half is gone when this returns.
    fn make_ssh_public_key(&self, comment: &str) -> Result<String, SecretMakerError>;

    /// Makes a password of so many letters and digits, each equally likely.
    fn make_password(&self, characters: u8) -> Result<Secret, SecretMakerError>;

    /// Issues a certificate with a new key by the authority of Hubble's, whose own key follows from the bundle: every
    /// certificate of one bundle is trusted by whoever trusts its authority, whenever either was made. It is valid for
    /// [`HUBBLE_VALIDITY`] from `now`.
    fn issue_hubble_certificate(
        &self,
        bundle: &SecretBundle,
        names: &[String],
        client: bool,
        now: Timestamp,
    ) -> Result<HubbleCertificate, SecretMakerError>;

    /// When a certificate in PEM ends; `None` for anything else.
    fn end_of_certificate(&self, certificate: &str) -> Option<Timestamp>;

    /// Issues a client certificate with a new key, valid from `now` for `validity`, or until its authority ends.
    fn issue_client_certificate(
        &self,
        bundle: &SecretBundle,
        identity: &ClientIdentity,
        validity: Duration,
        now: Timestamp,
    ) -> Result<ClientCertificate, SecretMakerError>;
}

/// Why a secret could not be made. No variant holds any part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretMakerError {
    /// The system gave no randomness, or a key could not be generated from it.
    #[error("the {what} could not be generated: the system's source of randomness failed")]
    Generation {
        /// What was to be made.
        what: &'static str,
    },
    /// A key of the bundle cannot be used.
    #[error("the key of the {authority} authority cannot be read; restore the bundle with `helix secrets import`")]
    AuthorityKey {
        /// Whose key.
        authority: &'static str,
    },
    /// A certificate of the bundle cannot be used.
    #[error(
        "the certificate of the {authority} authority cannot be read; restore the bundle with `helix secrets import`"
    )]
    AuthorityCertificate {
        /// Whose certificate.
        authority: &'static str,
    },
    /// A certificate could not be signed.
    #[error("the certificate of {subject} could not be signed: {source}")]
    Signing {
        /// Who was to get it.
        subject: String,
        /// What the signer said.
        #[source]
        source: rcgen::Error,
    },
    /// A moment lies outside what a certificate can say.
    #[error("{moment} cannot be written into a certificate; check the clock and the validity that was asked for")]
    Validity {
        /// The moment, or what it was computed from.
        moment: String,
    },
    /// The work was cut off because the process is ending.
    #[error("the secret bundle was not made because Helix is stopping")]
    Stopped,
}

impl SecretMakerError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Generation { .. } => "SecretGenerationFailed",
            Self::AuthorityKey { .. } | Self::AuthorityCertificate { .. } => "BundleInvalid",
            Self::Signing { .. } => "CertificateSigningFailed",
            Self::Validity { .. } => "CertificateValidityInvalid",
            Self::Stopped => "Stopping",
        }
    }
}

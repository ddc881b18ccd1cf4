//! The secret bundle of a platform, as a pure value: its form, its checks, its digest, and the wrapper that keeps
//! secrets out of logs.
//!
//! The bundle is what `talosctl gen secrets` calls `secrets.yaml` and reads and writes that form. Nothing is made up
//! here: keys and tokens need randomness and cryptography, which the engine's `SecretMaker` has.

mod form;
mod rotation;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use rotation::{AcceptedAuthorities, Authorities, NotARotation, Rotation, RotationFacts, RotationStage};

/// A text that must not be seen: `Debug` and `Display` redact it, dropping it overwrites it, and it has no
/// `Serialize`, so that no log, status or error can carry it unnoticed. [`Secret::expose`] is the one way to its value.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes the text into its keeping.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// A certificate authority: its certificate may be seen, its key may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateAuthority {
    /// PEM, one `CERTIFICATE`.
    pub certificate: String,
    /// PEM, with the label that Talos expects: `ED25519 PRIVATE KEY` (around PKCS#8) or `EC PRIVATE KEY` (SEC1).
    pub key: Secret,
}

/// Everything secret that a Talos cluster is founded on. Made once in a platform's life, never updated.
///
/// Fields are named for what they are; [`SecretBundle::to_yaml`] writes them under the names that `secrets.yaml` has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretBundle {
    /// `cluster.id`: 32 bytes in base64 (URL alphabet up to Talos 1.13); how members find each other.
    pub cluster_id: Secret,
    /// `cluster.secret`: 32 bytes in base64; encrypts what is told to the discovery service.
    pub cluster_secret: Secret,
    /// `secrets.bootstraptoken`: Kubernetes' bootstrap token, `[0-9a-z]{6}.[0-9a-z]{16}`.
    pub bootstrap_token: Secret,
    /// `secrets.secretboxencryptionsecret`: 32 bytes in base64; encrypts Kubernetes Secrets in etcd.
    pub secretbox_encryption_secret: Secret,
    /// `trustdinfo.token`: what machines show to trustd to get their certificate, formed as a bootstrap token.
    pub trustd_token: Secret,
    /// `certs.os`: signs Talos API certificates (Ed25519).
    pub os_ca: CertificateAuthority,
    /// `certs.etcd`: signs etcd certificates (P-256).
    pub etcd_ca: CertificateAuthority,
    /// `certs.k8s`: signs Kubernetes certificates (P-256).
    pub kubernetes_ca: CertificateAuthority,
    /// `certs.k8saggregator`: signs the API server's front-proxy certificate (P-256).
    pub aggregator_ca: CertificateAuthority,
    /// `certs.k8sserviceaccount.key`: signs service account tokens; PEM, `RSA PRIVATE KEY` or `EC PRIVATE KEY`.
    pub service_account_key: Secret,
    /// What is accepted beside the authorities above while these are rotated; no part of a `secrets.yaml`.
    pub accepted: AcceptedAuthorities,
}

/// A client certificate and its key, made for a person or for Helix itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM, one `CERTIFICATE`.
    pub certificate: String,
    /// PEM, labelled as the authority that signed it expects.
    pub key: Secret,
    /// When the certificate ends.
    pub expires_at: Timestamp,
}

/// What is wrong with a text that should be a secret bundle. Names the field, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretBundleError {
    /// The text is not YAML of the expected form.
    #[error(
        "the secret bundle is not a secrets.yaml: wrong syntax, type or field at line {line}, column {column}; \
         give the file as `talosctl gen secrets` or `helix secrets export` wrote it"
    )]
    Syntax {
        /// Line, counted from 1; 0 where it is not known.
        line: u64,
        /// Column, counted from 1; 0 where it is not known.
        column: u64,
    },
    /// A field is not there.
    #[error("the secret bundle has no `{field}`; a bundle must be complete, so restore it from an export")]
    Missing {
        /// Path in `secrets.yaml`.
        field: &'static str,
    },
    /// A field is there that Helix cannot carry over.
    #[error(
        "the secret bundle has `{field}`, which Helix does not support; \
         re-encrypt the cluster's Secrets with secretbox and remove it"
    )]
    Unsupported {
        /// Path in `secrets.yaml`.
        field: &'static str,
    },
    /// A field is not base64.
    #[error("`{field}` of the secret bundle is not base64")]
    NotBase64 {
        /// Path in `secrets.yaml`.
        field: &'static str,
    },
    /// A key has the wrong length.
    #[error("`{field}` of the secret bundle holds {actual} bytes, and must hold {expected}")]
    WrongLength {
        /// Path in `secrets.yaml`.
        field: &'static str,
        /// Bytes it must hold.
        expected: usize,
        /// Bytes it holds.
        actual: usize,
    },
    /// A token has the wrong form.
    #[error("`{field}` of the secret bundle is not a token of the form [0-9a-z]{{6}}.[0-9a-z]{{16}}")]
    NotAToken {
        /// Path in `secrets.yaml`.
        field: &'static str,
    },
    /// A certificate or key is not PEM with the right label.
    #[error("`{field}` of the secret bundle is not base64 of a PEM block labelled `{label}`")]
    NotPem {
        /// Path in `secrets.yaml`.
        field: &'static str,
        /// The label it must have.
        label: &'static str,
    },
    /// The bundle could not be written as YAML.
    #[error("the secret bundle could not be written as YAML")]
    Unwritable,
}

impl SecretBundleError {
    /// A stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "BundleSyntax",
            Self::Missing { .. } => "BundleIncomplete",
            Self::Unsupported { .. } => "BundleUnsupported",
            Self::NotBase64 { .. } | Self::WrongLength { .. } | Self::NotAToken { .. } | Self::NotPem { .. } => {
                "BundleInvalid"
            }
            Self::Unwritable => "BundleUnwritable",
        }
    }
}

impl SecretBundle {
    /// Reads a `secrets.yaml` and checks every field.
    ///
    /// # Errors
    /// [`SecretBundleError`], naming the first field that is missing or malformed, never its value.
    pub fn from_yaml(text: &str) -> Result<Self, SecretBundleError> {
        form::read(text)
    }

    /// Writes the bundle as a `secrets.yaml` that `talosctl gen config --with-secrets` reads.
    ///
    /// # Errors
    /// [`SecretBundleError::Unwritable`] when the serializer fails.
    pub fn to_yaml(&self) -> Result<Secret, SecretBundleError> {
        form::write(self)
    }

    /// A name for this bundle's content: equal for equal bundles, and safe to show.
    ///
    /// SHA-256 over all fields, each with its length before it, under a domain of its own, cut to 128 bits. Every
    /// guess at it has to get several independent 256-bit secrets right at once, so it tells nothing about any of them.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"helix.dev/secret-bundle/v1");
        for field in self.canonical_fields() {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        // Nothing is fed where nothing is accepted besides, so that a bundle which was never rotated keeps its name.
        for (what, certificates) in [(1, &self.accepted.os), (2, &self.accepted.kubernetes)] {
            for certificate in certificates {
                hash.update([what]);
                hash.update((certificate.len() as u64).to_be_bytes());
                hash.update(certificate.as_bytes());
            }
        }
        short_hex(&hash.finalize())
    }

    /// Who may show a certificate at Talos' API, as one PEM text: a server or a client.
    #[must_use]
    pub fn trusted_os_authorities(&self) -> String {
        together(&self.os_ca.certificate, &self.accepted.os)
    }

    /// Who may show a certificate at the Kubernetes API, as one PEM text.
    #[must_use]
    pub fn trusted_kubernetes_authorities(&self) -> String {
        together(&self.kubernetes_ca.certificate, &self.accepted.kubernetes)
    }

    fn canonical_fields(&self) -> [&str; 14] {
        [
            self.cluster_id.expose(),
            self.cluster_secret.expose(),
            self.bootstrap_token.expose(),
            self.secretbox_encryption_secret.expose(),
            self.trustd_token.expose(),
            &self.os_ca.certificate,
            self.os_ca.key.expose(),
            &self.etcd_ca.certificate,
            self.etcd_ca.key.expose(),
            &self.kubernetes_ca.certificate,
            self.kubernetes_ca.key.expose(),
            &self.aggregator_ca.certificate,
            self.aggregator_ca.key.expose(),
            self.service_account_key.expose(),
        ]
    }
}

/// Certificates one after the other, each on lines of its own.
fn together(first: &str, others: &[String]) -> String {
    let mut text = first.to_owned();
    for other in others {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(other);
    }
    text
}

/// The first 16 bytes of a hash, in hex.
pub(crate) fn short_hex(hash: &[u8]) -> String {
    hash.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

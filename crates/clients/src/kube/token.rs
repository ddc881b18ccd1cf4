//! Reads a service's token from its Secret.

use helix_crds::SecretKeyRef;
use helix_plan::secrets::Secret as Text;
use kube::Client;

use super::failure::Failure;
use super::secret_keys::SecretKeys;

/// Why there is no token. Names the Secret, never its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no such Secret.
    #[error(
        "Secret {namespace}/{name} does not exist: create it with \
         `kubectl -n {namespace} create secret generic {name} --from-file={key}=/dev/stdin`"
    )]
    NoSecret {
        /// Namespace of the platform.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// The key that is expected.
        key: String,
    },
    /// The Secret has no such key, or nothing under it.
    #[error(
        "Secret {namespace}/{name} has no token under the key `{key}`: add it, or name the right key in the reference"
    )]
    NoKey {
        /// Namespace of the platform.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// The key that is expected.
        key: String,
    },
    /// The Secret may not be read.
    #[error("Secret {namespace}/{name} may not be read: {why}. Grant the operator's role on Secrets in that namespace")]
    Forbidden {
        /// Namespace of the platform.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// The API server's words.
        why: String,
    },
    /// The management cluster's API did not answer.
    #[error("Secret {namespace}/{name} could not be read: {why}")]
    Unreachable {
        /// Namespace of the platform.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What happened.
        why: String,
    },
}

impl TokenError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoSecret { .. } => "TokenSecretMissing",
            Self::NoKey { .. } => "TokenKeyMissing",
            Self::Forbidden { .. } => "TokenSecretForbidden",
            Self::Unreachable { .. } => "TokenSecretUnreachable",
        }
    }
}

/// The token that `reference` names, in the platform's namespace.
///
/// # Errors
/// [`TokenError`], with what to do about it.
pub async fn read_token(client: &Client, namespace: &str, reference: &SecretKeyRef) -> Result<Text, TokenError> {
    let read = SecretKeys::read(client, namespace, &reference.name).await;
    let (namespace, name, key) = (namespace.to_owned(), reference.name.clone(), reference.key.clone());
    match read {
        Ok(Some(keys)) => keys.text(&key).map(Text::new).ok_or(TokenError::NoKey { namespace, name, key }),
        Ok(None) => Err(TokenError::NoSecret { namespace, name, key }),
        Err(Failure::Refused { code: 401 | 403, why }) => Err(TokenError::Forbidden { namespace, name, why }),
        Err(failure) => Err(TokenError::Unreachable { namespace, name, why: failure.why() }),
    }
}

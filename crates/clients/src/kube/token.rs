//! Reads the provider's token from its Secret, at every turn anew: a token that was mended takes effect by itself.

use helix_crds::SecretKeyRef;
use helix_plan::secrets::Secret as Text;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;

use super::failure::{Failure, absent_is_none, bounded};

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
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let (namespace, name, key) = (namespace.to_owned(), reference.name.clone(), reference.key.clone());
    match absent_is_none(bounded(api.get(&reference.name)).await) {
        Ok(Some(secret)) => token(&secret, &key).ok_or(TokenError::NoKey { namespace, name, key }),
        Ok(None) => Err(TokenError::NoSecret { namespace, name, key }),
        Err(Failure::Refused { code: 401 | 403, why }) => Err(TokenError::Forbidden { namespace, name, why }),
        Err(failure) => Err(TokenError::Unreachable { namespace, name, why: failure.why() }),
    }
}

/// The text under `key`, without the line break that `echo` and editors leave at its end.
fn token(secret: &Secret, key: &str) -> Option<Text> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    let text = std::str::from_utf8(bytes).ok()?.trim();
    (!text.is_empty()).then(|| Text::new(text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_token_is_read_without_its_line_break() {
        let with = |value: &[u8]| Secret {
            data: Some(BTreeMap::from([("token".to_owned(), ByteString(value.to_vec()))])),
            ..Secret::default()
        };
        assert_eq!(token(&with(b"abc\n"), "token"), Some(Text::new("abc")));
        for (secret, key) in [(with(b" \n"), "token"), (with(b"\xff"), "token"), (with(b"abc"), "other")] {
            assert_eq!(token(&secret, key), None);
        }
        assert_eq!(token(&Secret::default(), "token"), None);
    }
}

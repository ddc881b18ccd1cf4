//! Reads the keys of a Secret of the management cluster, at every call anew: what was renewed takes effect by itself. Which
//! keys there are to be, and what is said where one is not, is for whoever reads them.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;

use super::failure::{Failure, absent_is_none, bounded};

/// What is in a Secret. `Debug` shows the keys alone.
#[derive(Default)]
pub(super) struct SecretKeys(BTreeMap<String, ByteString>);

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl SecretKeys {
    /// Those of the Secret `name`; `None` where there is no such Secret.
    pub(super) async fn read(client: &Client, namespace: &str, name: &str) -> Result<Option<Self>, Failure> {
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let found = absent_is_none(bounded(api.get(name)).await)?;
        Ok(found.map(|secret| Self(secret.data.unwrap_or_default())))
    }

    /// The same, for whom a Secret that cannot be had is one that cannot be used: says why.
    pub(super) async fn needed(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        match Self::read(client, namespace, name).await {
            Ok(Some(keys)) => Ok(keys),
            Ok(None) => Err("it does not exist".to_owned()),
            Err(failure) => Err(format!("it could not be read ({})", failure.why())),
        }
    }

    /// The text under a key, without the line break that `echo` and editors leave at its end; `None` where there is none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(&self.0.get(key)?.0).ok().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The names of the keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::kube) fn keys(pairs: &[(&str, &[u8])]) -> SecretKeys {
        SecretKeys(pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect())
    }

    #[test]
    fn a_text_is_read_without_its_line_break_and_not_shown() {
        let keys = keys(&[("token", b"abc\n"), ("blank", b" \n"), ("binary", b"\xff")]);
        assert_eq!(keys.text("token"), Some("abc"));
        for key in ["blank", "binary", "other"] {
            assert_eq!(keys.text(key), None, "{key}");
        }
        assert_eq!(format!("{keys:?}"), r#"{"binary", "blank", "token"}"#);
    }
}

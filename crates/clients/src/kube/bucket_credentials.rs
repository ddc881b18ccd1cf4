//! Reads a bucket's credentials from their Secret, at every call anew: a pair that was renewed takes effect by itself.

use helix_engine::seams::SnapshotError;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;

use super::failure::{absent_is_none, bounded};
use crate::s3::Credentials;

/// Key of the pair's name.
const ACCESS_KEY_ID: &str = "accessKeyId";
/// Key of its secret.
const SECRET_ACCESS_KEY: &str = "secretAccessKey";

/// The credentials in the Secret `name`.
///
/// # Errors
/// [`SnapshotError::Credentials`], with what is wrong and never with content.
pub(crate) async fn read_bucket_credentials(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Credentials, SnapshotError> {
    let unusable = |why: String| SnapshotError::Credentials { secret: format!("{namespace}/{name}"), why };
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match absent_is_none(bounded(api.get(name)).await) {
        Ok(Some(secret)) => credentials(&secret).map_err(|key| unusable(format!("it has no usable {key}"))),
        Ok(None) => Err(unusable("it does not exist".to_owned())),
        Err(failure) => Err(unusable(format!("it could not be read ({})", failure.why()))),
    }
}

/// The pair, or the key that lacks its part of it.
fn credentials(secret: &Secret) -> Result<Credentials, &'static str> {
    let text = |key: &'static str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).ok_or(key)?;
        std::str::from_utf8(&bytes.0).map_err(|_| key)
    };
    Credentials::new(text(ACCESS_KEY_ID)?, text(SECRET_ACCESS_KEY)?)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_pair_is_read_and_the_missing_part_named() {
        let with = |pairs: &[(&str, &[u8])]| Secret {
            data: Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()),
            ..Secret::default()
        };
        let whole = with(&[(ACCESS_KEY_ID, b"id\n"), (SECRET_ACCESS_KEY, b"hush\n")]);
        assert_eq!(credentials(&whole), Credentials::new("id", "hush"));
        assert_eq!(credentials(&with(&[(ACCESS_KEY_ID, b"id")])), Err(SECRET_ACCESS_KEY));
        assert_eq!(credentials(&with(&[(SECRET_ACCESS_KEY, b"hush")])), Err(ACCESS_KEY_ID));
        assert_eq!(credentials(&with(&[(ACCESS_KEY_ID, b"\xff"), (SECRET_ACCESS_KEY, b"x")])), Err(ACCESS_KEY_ID));
        assert_eq!(credentials(&Secret::default()), Err(ACCESS_KEY_ID));
    }
}

//! Reads a bucket's credentials from their Secret.

use helix_engine::seams::SnapshotError;
use kube::Client;

use super::secret_keys::SecretKeys;
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
    let keys = SecretKeys::needed(client, namespace, name).await.map_err(unusable)?;
    credentials(&keys).map_err(|key| unusable(format!("it has no usable {key}")))
}

/// The pair, or the key that lacks its part of it.
fn credentials(keys: &SecretKeys) -> Result<Credentials, &'static str> {
    let text = |key: &'static str| keys.text(key).ok_or(key);
    Credentials::new(text(ACCESS_KEY_ID)?, text(SECRET_ACCESS_KEY)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::secret_keys::tests::keys;

    #[test]
    fn a_pair_is_read_and_the_missing_part_named() {
        let whole = keys(&[(ACCESS_KEY_ID, b"id\n"), (SECRET_ACCESS_KEY, b"hush\n")]);
        assert_eq!(credentials(&whole), Credentials::new("id", "hush"));
        assert_eq!(credentials(&keys(&[(ACCESS_KEY_ID, b"id")])), Err(SECRET_ACCESS_KEY));
        assert_eq!(credentials(&keys(&[(SECRET_ACCESS_KEY, b"hush")])), Err(ACCESS_KEY_ID));
        assert_eq!(credentials(&keys(&[(ACCESS_KEY_ID, b"\xff"), (SECRET_ACCESS_KEY, b"x")])), Err(ACCESS_KEY_ID));
        assert_eq!(credentials(&SecretKeys::default()), Err(ACCESS_KEY_ID));
    }
}

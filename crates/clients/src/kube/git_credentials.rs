//! Reads a repository's credentials from their Secret.

use helix_engine::seams::GitError;
use kube::Client;

use super::secret_keys::SecretKeys;
use crate::git::Credentials;

/// Key of the user's name.
const USERNAME: &str = "username";
/// Key of the password or token.
const PASSWORD: &str = "password";

/// The credentials in the Secret `name`.
///
/// # Errors
/// [`GitError::Credentials`], with what is wrong and never with content.
pub(crate) async fn read_git_credentials(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Credentials, GitError> {
    let unusable = |why: String| GitError::Credentials { secret: format!("{namespace}/{name}"), why };
    let keys = SecretKeys::needed(client, namespace, name).await.map_err(unusable)?;
    credentials(&keys).map_err(unusable)
}

fn credentials(keys: &SecretKeys) -> Result<Credentials, String> {
    let text = |key: &str| keys.text(key).filter(|text| !text.contains('\n'));
    match (text(USERNAME), text(PASSWORD)) {
        (Some(username), Some(password)) => Ok(Credentials::new(username, password)),
        (None, _) if keys.names().any(|key| key.starts_with("githubApp") || key == "sshPrivateKey") => {
            Err("keys of SSH and of GitHub Apps are not implemented yet".to_owned())
        }
        (None, _) => Err(format!("it has no usable {USERNAME}")),
        (_, None) => Err(format!("it has no usable {PASSWORD}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::secret_keys::tests::keys;

    #[test]
    fn a_pair_is_read_and_what_is_missing_named() {
        let whole = keys(&[(USERNAME, b"helix\n"), (PASSWORD, b"hush\n")]);
        assert_eq!(credentials(&whole), Ok(Credentials::new("helix", "hush")));
        assert!(credentials(&keys(&[(USERNAME, b"helix")])).unwrap_err().contains(PASSWORD));
        assert!(credentials(&keys(&[(PASSWORD, b"hush")])).unwrap_err().contains(USERNAME));
        assert!(credentials(&keys(&[("sshPrivateKey", b"k")])).unwrap_err().contains("not implemented"));
        assert!(credentials(&SecretKeys::default()).is_err());
    }
}

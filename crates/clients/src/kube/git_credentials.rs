//! Reads a repository's credentials from their Secret, at every call anew: a token that was renewed takes effect by itself.

use helix_engine::seams::GitError;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;

use super::failure::{absent_is_none, bounded};
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
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match absent_is_none(bounded(api.get(name)).await) {
        Ok(Some(secret)) => credentials(&secret).map_err(unusable),
        Ok(None) => Err(unusable("it does not exist".to_owned())),
        Err(failure) => Err(unusable(format!("it could not be read ({})", failure.why()))),
    }
}

fn credentials(secret: &Secret) -> Result<Credentials, String> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key))?;
        std::str::from_utf8(&bytes.0).ok().map(str::trim).filter(|text| !text.is_empty() && !text.contains('\n'))
    };
    match (text(USERNAME), text(PASSWORD)) {
        (Some(username), Some(password)) => Ok(Credentials::new(username, password)),
        (None, _)
            if secret.data.iter().flatten().any(|(key, _)| key.starts_with("githubApp") || key == "sshPrivateKey") =>
        {
            Err("keys of SSH and of GitHub Apps are not implemented yet".to_owned())
        }
        (None, _) => Err(format!("it has no usable {USERNAME}")),
        (_, None) => Err(format!("it has no usable {PASSWORD}")),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn a_pair_is_read_and_what_is_missing_named() {
        let with = |pairs: &[(&str, &str)]| Secret {
            data: Some(
                pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect(),
            ),
            ..Secret::default()
        };
        let whole = with(&[(USERNAME, "helix\n"), (PASSWORD, "hush\n")]);
        assert_eq!(credentials(&whole), Ok(Credentials::new("helix", "hush")));
        assert!(credentials(&with(&[(USERNAME, "helix")])).unwrap_err().contains(PASSWORD));
        assert!(credentials(&with(&[(PASSWORD, "hush")])).unwrap_err().contains(USERNAME));
        assert!(credentials(&with(&[("sshPrivateKey", "k")])).unwrap_err().contains("not implemented"));
        assert!(credentials(&Secret::default()).is_err());
    }
}

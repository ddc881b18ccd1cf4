//! Who signs: an access key and its secret.

use helix_plan::secrets::Secret;

/// A key pair of an object store. `Debug` shows the access key, which travels in every request, and not the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Names the pair.
    pub access_key_id: String,
    /// Signs with it.
    pub secret_access_key: Secret,
}

impl Credentials {
    /// A pair without the line breaks that editors leave at a text's end; `Err` says which part no pair can have.
    ///
    /// # Errors
    /// The name of the part that is empty or holds what does not go into a header.
    pub fn new(access_key_id: &str, secret_access_key: &str) -> Result<Self, &'static str> {
        let usable = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (id, secret) = (access_key_id.trim(), secret_access_key.trim());
        match (usable(id), usable(secret)) {
            (false, _) => Err("accessKeyId"),
            (_, false) => Err("secretAccessKey"),
            _ => Ok(Self { access_key_id: id.to_owned(), secret_access_key: Secret::new(secret) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_trimmed_and_its_secret_not_shown() {
        let pair = Credentials::new("AKIA\n", " hunter2\n").unwrap();
        assert_eq!((pair.access_key_id.as_str(), pair.secret_access_key.expose()), ("AKIA", "hunter2"));
        assert!(!format!("{pair:?}").contains("hunter2"));
        for (id, secret, part) in
            [("", "x", "accessKeyId"), ("a b", "x", "accessKeyId"), ("a", "\n", "secretAccessKey")]
        {
            assert_eq!(Credentials::new(id, secret), Err(part));
        }
    }
}

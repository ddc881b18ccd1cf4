//! Who reads and writes a repository: a user name and a password, which may be a token.

use helix_plan::secrets::Secret;

/// A user name and a password. `Debug` shows the name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub(super) username: String,
    pub(super) password: Secret,
}

impl Credentials {
    /// Credentials without the line breaks that editors leave at a text's end.
    #[must_use]
    pub fn new(username: &str, password: &str) -> Self {
        Self { username: username.trim().to_owned(), password: Secret::new(password.trim()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let credentials = Credentials::new("helix\n", "hush\n");
        assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("helix", "hush"));
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}

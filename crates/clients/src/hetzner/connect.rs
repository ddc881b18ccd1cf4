//! From a token to a project: checked endpoint, TLS, and one client (so one budget) per token, however many use it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use helix_engine::seams::Clock;
use helix_plan::secrets::Secret;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::HetznerProject;
use super::transport::Transport;
use crate::outbound::{self, IN_THE_CLEAR, NoClient, is_local, may_be_asked};

/// How long a request may take in all, unless said otherwise.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What it takes to talk to a project.
#[derive(Clone, Debug)]
pub struct Connection {
    /// As in `https://api.hetzner.cloud/v1`. Plain `http://` is for simulators and for a proxy on the same machine.
    pub endpoint: String,
    /// The project's API token.
    pub token: Secret,
}

/// Why a project cannot even be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is no URL of an API.
    #[error("`{endpoint}` is not an endpoint: {why}. Write a URL like `https://api.hetzner.cloud/v1`")]
    Endpoint {
        /// What was given, without user, password and query.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token holds what no token can hold.
    #[error(
        "the Hetzner token is empty or holds characters that no token has (line breaks within it, for example); \
         store exactly the token in the Secret"
    )]
    Token,
    /// The TLS library could not be set up.
    #[error("TLS cannot be set up: {why}")]
    Tls {
        /// What happened.
        why: String,
    },
}

impl ConnectError {
    /// A stable word for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } => "InvalidEndpoint",
            Self::Token => "InvalidToken",
            Self::Tls { .. } => "TlsUnavailable",
        }
    }
}

/// All projects that this process talks to, by token and endpoint.
///
/// # Guarantees
/// Who connects with the same token to the same endpoint shares one budget for as long as anybody holds the project.
pub struct Projects {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// By digest, so that no token is a key.
    open: Mutex<HashMap<[u8; 32], Weak<HetznerProject>>>,
}

impl fmt::Debug for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Projects")
    }
}

impl Projects {
    /// None yet; `clock` is what budgets and pauses go by.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, timeout: REQUEST_TIMEOUT, open: Mutex::default() }
    }

    /// Another bound on the time of one request than 30 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The project of a token. Sends nothing.
    ///
    /// # Errors
    /// [`ConnectError`] when endpoint or token cannot be what they should be.
    pub fn connect(&self, connection: &Connection) -> Result<Arc<HetznerProject>, ConnectError> {
        let endpoint = endpoint(&connection.endpoint)?;
        let token = connection.token.expose().trim();
        let key = Sha256::digest(format!("{}\0{token}", endpoint.text)).into();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(project) = open.get(&key).and_then(Weak::upgrade) {
            return Ok(project);
        }
        let http = client(token, endpoint.local)?;
        let transport = Transport::new(http, endpoint.text, self.timeout, Arc::clone(&self.clock));
        let project = Arc::new(HetznerProject { transport });
        open.retain(|_, project| project.strong_count() > 0);
        open.insert(key, Arc::downgrade(&project));
        Ok(project)
    }
}

struct Endpoint {
    /// Without a slash at its end.
    text: String,
    local: bool,
}

fn endpoint(text: &str) -> Result<Endpoint, ConnectError> {
    let wrong = |shown: String, why| ConnectError::Endpoint { endpoint: shown, why };
    let url = Url::parse(text.trim()).map_err(|_| wrong("the given text".to_owned(), "it is not a URL"))?;
    let shown = || format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path());
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(shown(), "it is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(shown(), "it holds a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(shown(), "it holds a query or a fragment"));
    }
    if !may_be_asked(&url) {
        return Err(wrong(shown(), IN_THE_CLEAR));
    }
    Ok(Endpoint { text: url.as_str().trim_end_matches('/').to_owned(), local: is_local(&url) })
}

fn client(token: &str, local: bool) -> Result<reqwest::Client, ConnectError> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConnectError::Token);
    }
    let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ConnectError::Token)?;
    authorization.set_sensitive(true);
    let unusable = |error: NoClient| ConnectError::Tls { why: error.to_string() };
    let builder = outbound::builder(local).map_err(unusable)?;
    let builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization)]));
    builder.build().map_err(|error| unusable(error.into()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    struct Standing;

    impl Clock for Standing {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn connect(projects: &Projects, endpoint: &str, token: &str) -> Result<Arc<HetznerProject>, ConnectError> {
        projects.connect(&Connection { endpoint: endpoint.to_owned(), token: Secret::new(token) })
    }

    #[test]
    fn one_token_is_one_project() {
        let projects = Projects::new(Arc::new(Standing));
        let first = connect(&projects, "https://api.example/v1", "alpha").unwrap();
        let same = connect(&projects, "https://api.example/v1/", " alpha\n").unwrap();
        let other = connect(&projects, "https://api.example/v1", "beta").unwrap();
        assert!(Arc::ptr_eq(&first, &same));
        assert!(!Arc::ptr_eq(&first, &other));
        drop((first, same));
        connect(&projects, "https://api.example/v1", "gamma").unwrap();
        assert_eq!(projects.open.lock().unwrap().len(), 2, "what nobody holds is forgotten");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_showing_its_password() {
        let projects = Projects::new(Arc::new(Standing));
        for endpoint in [
            "",
            "api.hetzner.cloud",
            "ftp://x/v1",
            "http://x/v1",
            "https://me:hunter2@x/v1",
            "https://x/v1?token=hunter2",
        ] {
            let error = connect(&projects, endpoint, "alpha").unwrap_err();
            assert_eq!(error.reason(), "InvalidEndpoint", "{endpoint}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        let projects = Projects::new(Arc::new(Standing));
        for token in ["", "\n", "two words", "a\nb", "t\u{e9}"] {
            assert_eq!(connect(&projects, "https://x/v1", token).unwrap_err(), ConnectError::Token);
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let projects = Projects::new(Arc::new(Standing));
        let project = connect(&projects, "https://x/v1", "hunter2").unwrap();
        assert!(!format!("{project:?} {projects:?} {:?}", project.transport).contains("hunter2"));
        let connection = Connection { endpoint: String::new(), token: Secret::new("hunter2") };
        assert!(!format!("{connection:?}").contains("hunter2"));
    }
}

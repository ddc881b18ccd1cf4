//! One question to an API that only tells: bounded in time and size, with a token where there is one. What Prometheus' and
//! Grafana's clients share; nothing is known of either here.

use std::fmt;
use std::time::Duration;

use helix_plan::secrets::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::outbound::{self, Unread, cause, is_local, may_be_asked};

/// From the first byte sent to the last byte read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answers to what is asked here are far smaller.
const BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// As much of an error's text as people want to read.
const LONGEST_WORDS: usize = 300;

/// Why there is no answer. Holds no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellingError {
    /// The given URL cannot be asked.
    #[error("`{given}` cannot be asked for {of}: {why}")]
    NoUrl {
        /// Whose it is, as in `Prometheus`.
        of: &'static str,
        /// What was given, without user and password.
        given: String,
        /// What is wrong with it, and what to write instead.
        why: String,
    },
    /// It does not let the token, or nobody, ask.
    #[error("{of} at {url} refuses to be asked: {why}. Give it a token that may read")]
    Refused {
        /// Who refuses.
        of: &'static str,
        /// Where.
        url: String,
        /// Its words.
        why: String,
    },
    /// It does not answer, or not with what it should.
    #[error("{of} at {url} cannot be asked: {why}")]
    Unreachable {
        /// Who does not answer.
        of: &'static str,
        /// Where.
        url: String,
        /// What happened.
        why: String,
    },
}

/// An API that is asked for JSON.
#[derive(Clone)]
pub(crate) struct Teller {
    of: &'static str,
    http: Client,
    base: Url,
    token: Option<Secret>,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("of", &self.of).field("base", &self.shown()).finish_non_exhaustive()
    }
}

impl Teller {
    /// Sends nothing yet. What the API is called is for errors.
    pub(crate) fn new(of: &'static str, url: &str, token: Option<Secret>) -> Result<Self, TellingError> {
        let given = if url.contains('@') { "the given URL".to_owned() } else { url.to_owned() };
        let no_url = |why: &str| TellingError::NoUrl { of, given: given.clone(), why: why.to_owned() };
        let base: Url = url.parse().map_err(|_| no_url("it is no URL; write one as https://example.com"))?;
        if !base.has_host() || !matches!(base.scheme(), "http" | "https") {
            return Err(no_url("it is neither http nor https; write one as https://example.com"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err(no_url("it holds a user, a password or a query; give a token by its variable or file"));
        }
        if token.is_some() && !may_be_asked(&base) {
            return Err(no_url("a token goes over https, or to this machine; write https, or give no token"));
        }
        let no_client = |error: outbound::NoClient| no_url(&error.to_string());
        let http =
            outbound::builder(is_local(&base)).map_err(no_client)?.build().map_err(|error| no_client(error.into()))?;
        Ok(Self { of, http, base, token })
    }

    /// The answer to a GET of a path below the URL. What is no JSON is told with its status.
    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, TellingError> {
        let asked = tokio::time::timeout(PATIENCE, self.fetch(path, query)).await;
        asked.unwrap_or_else(|_| Err(self.unreachable(format!("no answer within {} s", PATIENCE.as_secs()))))
    }

    async fn fetch(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, TellingError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let mut request = self.http.get(url).query(query).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            let unusable = |_| self.unreachable("its token holds what no token can hold".to_owned());
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(unusable)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| self.unreachable(cause(&error)))?;
        let status = response.status();
        let body = outbound::body(response, BODY_LIMIT_BYTES).await.map_err(|unread| {
            self.unreachable(match unread {
                Unread::TooLarge => format!("it answered with more than {BODY_LIMIT_BYTES} bytes"),
                Unread::Broken { error, .. } => cause(&error),
            })
        })?;
        let json = serde_json::from_slice::<Value>(&body).ok();
        match (status.as_u16(), json) {
            (200..=299, Some(json)) => Ok(json),
            (200..=299, None) => Err(self.unreachable("it answered with something that is no JSON".to_owned())),
            (401 | 403, json) => {
                let why = words(json.as_ref()).unwrap_or_else(|| status.to_string());
                Err(TellingError::Refused { of: self.of, url: self.shown(), why })
            }
            (_, json) => {
                let words = words(json.as_ref()).map_or(String::new(), |words| format!(": {words}"));
                Err(self.unreachable(format!("it answered {status}{words}")))
            }
        }
    }

    /// What it answered means nothing.
    pub(crate) fn nonsense(&self, what: &str) -> TellingError {
        self.unreachable(format!("it answered {what}"))
    }

    fn unreachable(&self, why: String) -> TellingError {
        TellingError::Unreachable { of: self.of, url: self.shown(), why }
    }

    fn shown(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }
}

/// What an error says of itself: Prometheus under `error`, Grafana under `message`.
fn words(json: Option<&Value>) -> Option<String> {
    let json = json?;
    let words = json["error"].as_str().or_else(|| json["message"].as_str())?;
    Some(words.chars().take(LONGEST_WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_go_in_the_clear_and_is_never_shown() {
        let token = || Some(Secret::new("hunter2"));
        let error = Teller::new("Prometheus", "http://prometheus.example", token()).unwrap_err().to_string();
        assert!(error.contains("write https"), "{error}");
        assert!(Teller::new("Prometheus", "http://prometheus.example", None).is_ok());
        for url in ["https://prometheus.example/below/", "http://127.0.0.1:9090"] {
            let teller = Teller::new("Prometheus", url, token()).unwrap();
            assert!(!format!("{teller:?}").contains("hunter2"));
        }
        for url in ["", "prometheus", "file:///etc", "https://me:hunter2@prometheus.example", "https://a.example?b=c"] {
            let error = Teller::new("Prometheus", url, None).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

//! HTTP to whom others run: the rules that every client of such an API follows alike, and what is said of its failures.
//!
//! One attempt and no redirects: who follows or repeats looks first at what it follows. How long an answer may take, and who
//! is shown which credential, is each client's own.

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, Url, redirect, retry};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a URL that [`may_be_asked`] refuses.
pub(crate) const IN_THE_CLEAR: &str = "it is not https, and not on this machine either";

/// There is no client: TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClient {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// Clients of whatever is on the web or on this machine; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// Through the environment's proxy, where there is one.
    remote: Client,
    local: Client,
}

impl Clients {
    /// Sends nothing yet.
    pub(crate) fn new() -> Result<Self, NoClient> {
        Ok(Self { remote: builder(false)?.build()?, local: builder(true)?.build()? })
    }

    /// The one that asks what is at this URL.
    pub(crate) fn of(&self, url: &Url) -> &Client {
        if is_local(url) { &self.local } else { &self.remote }
    }
}

/// A client of what is on this machine, or of what is not.
pub(crate) fn builder(local: bool) -> Result<ClientBuilder, NoClient> {
    let builder = Client::builder()
        .user_agent(concat!("helix/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirect would carry a credential to somewhere that nobody named.
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .tls_backend_preconfigured(tls()?);
    // What listens on this machine is not to be looked for through a proxy elsewhere.
    Ok(if local { builder.no_proxy() } else { builder })
}

/// The roots are compiled in: a container image of the operator alone has no store of them.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether it is on this machine.
pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Whether a credential may be shown to it, and its answer be believed: nobody in between reads the one or changes the
/// other.
pub(crate) fn may_be_asked(url: &Url) -> bool {
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && is_local(url)))
}

/// The innermost error says why; the outer ones that something failed, and the outermost alone quotes the URL.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Why there is no whole body.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It has more bytes than it may have.
    TooLarge,
    /// It ended early, after so many bytes.
    Broken { got: usize, error: reqwest::Error },
}

/// The whole of a body that has at most `limit` bytes.
pub(crate) async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(Unread::TooLarge),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Unread::Broken { got: body.len(), error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine_is_known() {
        let local = |url: &str| is_local(&url.parse().unwrap());
        assert!(local("http://127.3.0.1:9000") && local("http://[::1]:9000") && local("http://localhost"));
        assert!(!local("https://fsn1.example") && !local("http://localhost.example") && !local("http://10.0.0.1"));
    }

    #[test]
    fn what_goes_in_the_clear_stays_on_this_machine() {
        let asked = |url: &str| may_be_asked(&url.parse().unwrap());
        assert!(asked("https://api.example/v1") && asked("http://127.0.0.1:8080/v1") && asked("http://localhost"));
        assert!(!asked("http://api.example/v1") && !asked("ftp://127.0.0.1") && !asked("data:text/plain,x"));
    }

    #[test]
    fn there_is_a_client_for_each() {
        let clients = Clients::new().unwrap();
        let of = |url: &str| std::ptr::from_ref(clients.of(&url.parse().unwrap()));
        assert_eq!(of("http://127.0.0.1"), of("https://localhost"));
        assert_ne!(of("http://127.0.0.1"), of("https://api.example"));
    }
}

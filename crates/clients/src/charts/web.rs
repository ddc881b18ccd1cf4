//! One request for something public and its answer: bounded time, size and redirects, through mirrors. Nothing is known of
//! charts here, and nothing is believed of what is fetched.

use std::time::Duration;

use helix_plan::secrets::Secret;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};

use crate::mirrors::Mirrors;
use crate::outbound::{self, Clients, IN_THE_CLEAR, Unread, cause, may_be_asked};

/// How long all of it may take: the largest index takes as long at 5 Mbit/s.
const TIMEOUT: Duration = Duration::from_secs(120);
/// A repository behind a shortened name, its storage, and one more.
const MOST_REDIRECTS: usize = 5;

/// Fetches what anybody may fetch.
pub(super) struct Web {
    /// They follow nothing: redirects are followed here, where each is looked at first.
    clients: Clients,
    mirrors: Mirrors,
}

/// What is asked for.
pub(super) struct Ask<'a> {
    pub(super) url: &'a Url,
    /// The media type that is wanted, if it matters.
    pub(super) accept: Option<&'static str>,
    /// Shown to the place that is asked, and to no other that it may point to.
    pub(super) token: Option<&'a Secret>,
    /// The most bytes that the answer may have.
    pub(super) limit: usize,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Web {
    pub(super) fn new(mirrors: Mirrors) -> Result<Self, String> {
        Ok(Self { clients: Clients::new().map_err(|error| error.to_string())?, mirrors })
    }

    /// Where to ask for what is at a public URL.
    pub(super) fn place(&self, url: &Url) -> Url {
        self.mirrors.place(url)
    }

    /// The answer, or why there is none. Mirrors matter to what the answer points to only: see [`Self::place`].
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<Answer, String> {
        let late = || Err(format!("{} does not answer in {} s", shown(ask.url), TIMEOUT.as_secs()));
        tokio::time::timeout(TIMEOUT, self.follow(&ask)).await.unwrap_or_else(|_| late())
    }

    async fn follow(&self, ask: &Ask<'_>) -> Result<Answer, String> {
        let mut at = ask.url.clone();
        let asked = at.origin();
        for _ in 0..=MOST_REDIRECTS {
            if !may_be_asked(&at) {
                return Err(format!("{}: {IN_THE_CLEAR}", shown(&at)));
            }
            let token = ask.token.filter(|_| at.origin() == asked);
            let response = self.send(&at, ask.accept, token).await?;
            if !response.status().is_redirection() {
                return whole(response, ask.limit).await;
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| at.join(location).ok());
            let next = next.ok_or_else(|| format!("{} points to nowhere", shown(&at)))?;
            at = if next.origin() == at.origin() { next } else { self.mirrors.place(&next) };
        }
        Err(format!("{} points on and on, more than {MOST_REDIRECTS} times", shown(ask.url)))
    }

    async fn send(&self, at: &Url, accept: Option<&'static str>, token: Option<&Secret>) -> Result<Response, String> {
        let mut request = self.clients.of(at).get(at.clone());
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(token) = token {
            let unusable = |_| "the registry's token holds what no token can hold".to_owned();
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(unusable)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        request.send().await.map_err(|error| format!("{}: {}", shown(at), cause(&error)))
    }
}

async fn whole(response: Response, limit: usize) -> Result<Answer, String> {
    let (status, headers, at) = (response.status().as_u16(), response.headers().clone(), response.url().clone());
    let body = outbound::body(response, limit).await.map_err(|unread| match unread {
        Unread::TooLarge => format!("{} answers with more than {limit} bytes", shown(&at)),
        Unread::Broken { error, .. } => format!("{}: {}", shown(&at), cause(&error)),
    })?;
    Ok(Answer { status, headers, body })
}

/// Without its query: what storage is pointed to with may be signed.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

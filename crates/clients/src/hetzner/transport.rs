//! One request and its answer: budget, token, bounded time, bounded size, typed error.
//!
//! No retries, no paging, no knowledge of resources.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use helix_engine::budget::{BudgetSnapshot, Grant, RateLimit, TokenBudget};
use helix_engine::seams::{Clock, CloudError};
use helix_plan::step::Lane;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::error;
use super::request::Request;
use crate::outbound::{self, CONNECT_TIMEOUT, Unread};

/// No answer of Hetzner's comes near this: a page of 50 servers has about 300 kB.
const BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// Sends requests with one token to one endpoint.
pub(super) struct Transport {
    /// Carries the token as a default header that is marked sensitive.
    http: reqwest::Client,
    /// Without a slash at its end.
    endpoint: String,
    /// From the first byte sent to the last byte read.
    timeout: Duration,
    budget: Arc<TokenBudget>,
    clock: Arc<dyn Clock>,
}

/// Shows where requests go, not with what.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(http: reqwest::Client, endpoint: String, timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        let budget = Arc::new(TokenBudget::new(clock.now()));
        Self { http, endpoint, timeout, budget, clock }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn budget(&self, now: Timestamp) -> BudgetSnapshot {
        self.budget.snapshot(now)
    }

    /// Sends a request and reads its answer as JSON.
    pub(super) async fn call<T: DeserializeOwned>(&self, lane: Lane, request: &Request) -> Result<T, CloudError> {
        let body = self.send(lane, request).await?;
        serde_json::from_slice(&body).map_err(|error| self.malformed(&describe(&error)))
    }

    /// Sends a request whose answer may be empty, as those to deletions are.
    pub(super) async fn call_or_empty<T>(&self, lane: Lane, request: &Request) -> Result<T, CloudError>
    where
        T: DeserializeOwned + Default,
    {
        let body = self.send(lane, request).await?;
        if body.is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&body).map_err(|error| self.malformed(&describe(&error)))
    }

    /// The body of a successful answer.
    async fn send(&self, lane: Lane, request: &Request) -> Result<Vec<u8>, CloudError> {
        match self.budget.try_acquire(lane, 1, self.now()) {
            Grant::Granted => {}
            Grant::Wait { until } => return Err(CloudError::BudgetExhausted { until }),
            Grant::Paused { until } => return Err(CloudError::RateLimited { resets_at: until }),
        }
        let mut under_way = UnderWay { transport: self, open: true, never_sent: false };
        let response = self.dispatch(request).await.map_err(|error| {
            under_way.never_sent = !was_sent(&error);
            self.unreachable(&error)
        })?;
        let status = response.status();
        let told = rate_limit(response.headers());
        under_way.open = false;
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(CloudError::RateLimited { resets_at: self.budget.refused(told, self.now()) });
        }
        self.budget.answered(told, self.now());
        let body = outbound::body(response, BODY_LIMIT_BYTES).await.map_err(|unread| match unread {
            Unread::TooLarge => self.malformed(&format!("an answer of more than {BODY_LIMIT_BYTES} bytes")),
            Unread::Broken { error, .. } => self.unreachable(&error),
        })?;
        if status.is_success() {
            return Ok(body);
        }
        Err(error::read(status.as_u16(), &body, &request.subject, &self.endpoint))
    }

    async fn dispatch(&self, request: &Request) -> Result<Response, reqwest::Error> {
        let url = format!("{}{}", self.endpoint, request.path);
        let mut builder = self.http.request(request.method.clone(), url).timeout(self.timeout);
        if !request.query.is_empty() {
            builder = builder.query(&request.query);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        builder.send().await
    }

    pub(super) fn malformed(&self, why: &str) -> CloudError {
        CloudError::Malformed { endpoint: self.endpoint.clone(), why: why.to_owned() }
    }

    fn unreachable(&self, error: &reqwest::Error) -> CloudError {
        CloudError::Unreachable { endpoint: self.endpoint.clone(), why: self.cause(error), sent: was_sent(error) }
    }

    fn cause(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            let seconds = if error.is_connect() { CONNECT_TIMEOUT } else { self.timeout }.as_secs_f32();
            return format!("no answer within {seconds} s");
        }
        outbound::cause(error)
    }
}

/// A granted request; when its future is dropped or fails before an answer, the budget hears of it.
struct UnderWay<'a> {
    transport: &'a Transport,
    open: bool,
    never_sent: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        match (self.open, self.never_sent) {
            (true, true) => self.transport.budget.unsent(),
            (true, false) => self.transport.budget.unanswered(self.transport.now()),
            (false, _) => {}
        }
    }
}

/// Whether a request that failed may have reached the other side.
fn was_sent(error: &reqwest::Error) -> bool {
    !(error.is_connect() || error.is_builder())
}

/// Where reading failed and how, without quoting what was read: an answer may hold a secret.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let how = match error.classify() {
        Category::Io | Category::Eof => "it ends too early",
        Category::Syntax => "it is not JSON",
        Category::Data => "it is JSON of another shape",
    };
    format!("{how} (line {}, column {})", error.line(), error.column())
}

fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    Some(RateLimit {
        limit: u32::try_from(number("ratelimit-limit")?).ok()?,
        remaining: u32::try_from(number("ratelimit-remaining")?).ok()?,
        resets_at: Timestamp::from_second(number("ratelimit-reset")?).ok()?,
    })
}

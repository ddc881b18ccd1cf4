//! One request to the API: the caller's own budget, then budget, token, faults, effect and error in the order in which
//! Hetzner has them.

use helix_engine::budget::{Grant, RateLimit, TokenBudget};
use helix_engine::seams::{Accepted, CloudError};
use helix_plan::step::Lane;
use jiff::Timestamp;

use crate::faults::CallFault;
use crate::inprocess::{Inner, TOKEN};
use crate::world::{ActionId, ApiError, ApiResult, ErrorCode, Permission};

/// Where the API would be.
const ENDPOINT: &str = "the simulated API";

/// How many resources a page of a list holds.
const PAGE: usize = 50;

/// What a request draws on before it is sent.
#[derive(Clone, Copy)]
pub(super) struct Draw<'a> {
    pub(super) budget: &'a TokenBudget,
    pub(super) lane: Lane,
}

impl Inner {
    /// One request, if the caller's budget has it.
    pub(super) fn request<T>(
        &mut self,
        draw: Draw<'_>,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        let answer = match draw.budget.try_acquire(draw.lane, 1, self.now) {
            Grant::Granted => self.send(draw.budget, method, path, effect),
            Grant::Wait { until } => Err(CloudError::BudgetExhausted { until }),
            Grant::Paused { until } => Err(CloudError::RateLimited { resets_at: until }),
        };
        match &answer {
            Ok(_) => self.say(format_args!("{method} {path}")),
            Err(error) => self.say(format_args!("{method} {path}: {error}")),
        }
        answer
    }

    /// Sends it, and tells the budget what the answer said of the limit.
    fn send<T>(
        &mut self,
        budget: &TokenBudget,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        self.counts.hetzner += 1;
        let now = self.now;
        let level = self.world.admit(self.project, now);
        let resets_at = Timestamp::from_second(level.reset).unwrap_or(now);
        let told = RateLimit { limit: level.limit, remaining: level.remaining, resets_at };
        if !level.admitted {
            self.counts.refused_by_limit += 1;
            return Err(CloudError::RateLimited { resets_at: budget.refused(Some(told), now) });
        }
        let answer = self.receive(method, path, effect);
        match &answer {
            Err(CloudError::Unreachable { sent: false, .. }) => budget.unsent(),
            Err(CloudError::Unreachable { sent: true, .. }) => budget.unanswered(now),
            Err(CloudError::RateLimited { resets_at }) => {
                budget.refused(Some(RateLimit { remaining: 0, resets_at: *resets_at, ..told }), now);
            }
            _ => budget.answered(Some(told), now),
        }
        answer
    }

    /// What a request comes to that the limit has let in.
    fn receive<T>(
        &mut self,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        let (_, permission) = self.world.authenticate(TOKEN).map_err(|error| refusal(&error, path))?;
        if permission == Permission::Read && method != "GET" {
            return Err(refusal(&ApiError::new(ErrorCode::TokenReadonly, "the token is read-only"), path));
        }
        let mut answer_lost = None;
        for fault in self.world.strike_call(method, path) {
            match fault {
                CallFault::RequestLost => return Err(unreachable(false)),
                CallFault::Refused { code } => {
                    let code = ErrorCode::parse(&code).unwrap_or(ErrorCode::ServerError);
                    return Err(refusal(&ApiError::new(code, "injected"), path));
                }
                CallFault::RateLimited { reset_seconds } => {
                    let resets_at = self.now + std::time::Duration::from_secs(u64::from(reset_seconds));
                    return Err(CloudError::RateLimited { resets_at });
                }
                CallFault::AnswerLost => answer_lost = Some(unreachable(true)),
                CallFault::AnswerGarbled | CallFault::AnswerTruncated => {
                    let why = "the answer is no JSON".to_owned();
                    answer_lost = Some(CloudError::Malformed { endpoint: ENDPOINT.to_owned(), why });
                }
                CallFault::RequestRepeated => {
                    effect(self).ok();
                }
                CallFault::AnswerDelayed { .. } => {}
            }
        }
        let answer = effect(self).map_err(|error| refusal(&error, path));
        answer_lost.map_or(answer, Err)
    }

    /// The pages of a list of so many resources: one request each.
    pub(super) fn pages<T>(
        &mut self,
        draw: Draw<'_>,
        path: &str,
        number: usize,
        list: impl Fn(&mut Self) -> T,
    ) -> Result<T, CloudError> {
        for _ in 1..number.div_ceil(PAGE).max(1) {
            self.request(draw, "GET", path, |_| Ok(()))?;
        }
        self.request(draw, "GET", path, |inner| Ok(list(inner)))
    }
}

pub(super) fn unreachable(sent: bool) -> CloudError {
    CloudError::Unreachable { endpoint: ENDPOINT.to_owned(), why: "the connection broke".to_owned(), sent }
}

/// An error of the API, as the engine knows it.
pub(super) fn refusal(error: &ApiError, path: &str) -> CloudError {
    let message = error.message.clone();
    let what = path.to_owned();
    match error.code {
        ErrorCode::Unauthorized => CloudError::Unauthorized { message },
        ErrorCode::TokenReadonly | ErrorCode::Forbidden => CloudError::Forbidden { message },
        ErrorCode::NotFound => CloudError::NotFound { what },
        ErrorCode::UniquenessError => CloudError::Taken { name: what },
        ErrorCode::Locked => CloudError::Locked { what },
        ErrorCode::Protected => CloudError::Protected { what },
        ErrorCode::ResourceInUse => CloudError::InUse { what },
        ErrorCode::Conflict => CloudError::Conflict { message },
        ErrorCode::ResourceUnavailable | ErrorCode::PlacementError => CloudError::Unavailable { message },
        ErrorCode::ResourceLimitExceeded => CloudError::LimitExceeded { message },
        ErrorCode::InvalidInput => {
            CloudError::Invalid { message, fields: error.fields.iter().map(|field| field.name.clone()).collect() }
        }
        code => CloudError::Other { status: error.http_status(), code: code.as_str().to_owned(), message },
    }
}

/// What is as wanted already counts as done.
pub(super) fn already(result: Result<ActionId, CloudError>, codes: &[ErrorCode]) -> Result<Accepted<()>, CloudError> {
    match result {
        Ok(action) => Ok(Accepted { value: (), actions: vec![action.0] }),
        Err(CloudError::Other { code, .. }) if codes.iter().any(|known| known.as_str() == code) => {
            Ok(Accepted { value: (), actions: Vec::new() })
        }
        Err(error) => Err(error),
    }
}

/// What is not there any more counts as removed.
pub(super) fn gone(result: Result<Accepted<()>, CloudError>) -> Result<Accepted<()>, CloudError> {
    match result {
        Err(CloudError::NotFound { .. }) => Ok(Accepted { value: (), actions: Vec::new() }),
        result => result,
    }
}

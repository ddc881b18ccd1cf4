//! One request to the API: budget, token, faults, effect and error, in the order in which Hetzner has them.

use helix_engine::seams::{Accepted, CloudError};
use jiff::Timestamp;

use crate::faults::CallFault;
use crate::inprocess::{Inner, TOKEN};
use crate::world::{ActionId, ApiError, ApiResult, ErrorCode, Permission};

/// Where the API would be.
const ENDPOINT: &str = "the simulated API";

/// How many resources a page of a list holds.
const PAGE: usize = 50;

impl Inner {
    /// One request: budget, token, faults, effect, in the order in which Hetzner has them.
    pub(super) fn request<T>(
        &mut self,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        let answer = self.request_unseen(method, path, effect);
        match &answer {
            Ok(_) => self.say(format_args!("{method} {path}")),
            Err(error) => self.say(format_args!("{method} {path}: {error}")),
        }
        answer
    }

    fn request_unseen<T>(
        &mut self,
        method: &str,
        path: &str,
        effect: impl Fn(&mut Self) -> ApiResult<T>,
    ) -> Result<T, CloudError> {
        self.counts.hetzner += 1;
        let budget = self.world.admit(self.project, self.now);
        if !budget.admitted {
            self.counts.refused_by_limit += 1;
            let resets_at = Timestamp::from_second(budget.reset).unwrap_or(self.now);
            return Err(CloudError::RateLimited { resets_at });
        }
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
        path: &str,
        number: usize,
        list: impl Fn(&mut Self) -> T,
    ) -> Result<T, CloudError> {
        for _ in 1..number.div_ceil(PAGE).max(1) {
            self.request("GET", path, |_| Ok(()))?;
        }
        self.request("GET", path, |inner| Ok(list(inner)))
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

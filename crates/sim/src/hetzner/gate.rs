//! What every request passes before it reaches a route: token, budget, injected faults, permission.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use tower::ServiceExt as _;

use super::{BASE_PATH, Caller};
use crate::clock::SharedWorld;
use crate::faults::CallFault;
use crate::http_server::Cut;
use crate::world::{ApiError, ApiResult, Budget, ErrorCode, Permission, ProjectId};

/// No request is larger: user data has at most 32 KiB.
const MAX_BODY: usize = 1 << 20;

/// The gate, with the routes behind it.
#[derive(Clone)]
pub(super) struct Gate {
    world: SharedWorld,
    routes: Router,
}

/// A request that was read whole, so that a fault can repeat it.
struct Call {
    method: Method,
    /// Below `/v1`.
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Gate {
    pub(super) fn new(world: SharedWorld, routes: Router) -> Self {
        Self { world, routes }
    }

    pub(super) async fn handle(&self, request: Request<Incoming>) -> Result<Response, Cut> {
        let mut budget = self.world.with(|world, now| Budget {
            admitted: true,
            limit: world.config().requests_per_hour,
            remaining: world.config().requests_per_hour,
            reset: now.as_second(),
        });
        let answer = match Call::read(request).await {
            Ok(call) => self.admit(call, &mut budget).await,
            Err(error) => Ok(error.into_response()),
        };
        answer.map(|mut response| {
            put_budget(response.headers_mut(), budget);
            response
        })
    }

    async fn admit(&self, call: Call, budget: &mut Budget) -> Result<Response, Cut> {
        let authenticated = call.token().and_then(|token| self.world.with(|world, _| world.authenticate(token)));
        let (project, permission) = match authenticated {
            Ok(known) => known,
            Err(error) => return Ok(error.into_response()),
        };
        let (admitted, faults) = self.world.with(|world, now| {
            let budget = world.admit(project, now);
            let faults = if budget.admitted { world.strike_call(call.method.as_str(), &call.path) } else { Vec::new() };
            (budget, faults)
        });
        *budget = admitted;
        if !budget.admitted {
            return Ok(rate_limited().into_response());
        }
        if permission == Permission::Read && call.method != Method::GET {
            let message = "the token is only allowed to perform GET requests";
            return Ok(ApiError::new(ErrorCode::TokenReadonly, message).into_response());
        }
        self.act_out(&call, project, &faults, budget).await
    }

    /// Lets the call happen the way the faults want it.
    async fn act_out(
        &self,
        call: &Call,
        project: ProjectId,
        faults: &[CallFault],
        budget: &mut Budget,
    ) -> Result<Response, Cut> {
        for fault in faults {
            match fault {
                CallFault::RequestLost => return Err(Cut),
                CallFault::Refused { code } => return Ok(refusal(code).into_response()),
                CallFault::RateLimited { reset_seconds } => {
                    budget.remaining = 0;
                    budget.reset = self.world.now().as_second() + i64::from(*reset_seconds);
                    return Ok(rate_limited().into_response());
                }
                CallFault::RequestRepeated => drop(self.route(call, project).await),
                CallFault::AnswerDelayed { .. }
                | CallFault::AnswerLost
                | CallFault::AnswerGarbled
                | CallFault::AnswerTruncated => {}
            }
        }
        let latency = self.world.with(|world, _| world.call_latency(call.method.as_str(), &call.path));
        tokio::time::sleep(latency).await;
        let mut response = self.route(call, project).await;
        for fault in faults {
            match fault {
                CallFault::AnswerLost => return Err(Cut),
                CallFault::AnswerDelayed { millis } => tokio::time::sleep(Duration::from_millis(*millis)).await,
                CallFault::AnswerGarbled => response = garbled(response.status()),
                CallFault::AnswerTruncated => response = truncated(response).await,
                CallFault::RequestLost
                | CallFault::RequestRepeated
                | CallFault::Refused { .. }
                | CallFault::RateLimited { .. } => {}
            }
        }
        Ok(response)
    }

    async fn route(&self, call: &Call, project: ProjectId) -> Response {
        let uri = match &call.query {
            Some(query) => format!("{}?{query}", call.path),
            None => call.path.clone(),
        };
        let caller = Caller { world: self.world.clone(), project };
        let request = Request::builder().method(call.method.clone()).uri(uri).extension(caller);
        match request.body(Body::from(call.body.clone())) {
            Ok(request) => match self.routes.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(error) => ApiError::new(ErrorCode::InvalidInput, error.to_string()).into_response(),
        }
    }
}

impl Call {
    async fn read(request: Request<Incoming>) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let unreadable = |_| ApiError::new(ErrorCode::InvalidInput, "the request body could not be read");
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(unreadable)?.to_bytes();
        let not_found = || ApiError::new(ErrorCode::NotFound, "the requested path does not exist");
        let path = parts.uri.path().strip_prefix(BASE_PATH).filter(|path| path.starts_with('/'));
        Ok(Self {
            path: path.ok_or_else(not_found)?.to_owned(),
            query: parts.uri.query().map(str::to_owned),
            method: parts.method,
            headers: parts.headers,
            body,
        })
    }

    fn token(&self) -> ApiResult<&str> {
        let value = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        value
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, "unable to authenticate"))
    }
}

fn rate_limited() -> ApiError {
    ApiError::new(ErrorCode::RateLimitExceeded, "rate limit exceeded")
}

fn refusal(code: &str) -> ApiError {
    let code = ErrorCode::parse(code).unwrap_or(ErrorCode::ServerError);
    ApiError::new(code, "an injected fault refuses this request")
}

fn garbled(status: StatusCode) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], "<html>\u{fffd}\u{1}{{not json").into_response()
}

async fn truncated(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    (parts.status, [(header::CONTENT_TYPE, "application/json")], half).into_response()
}

fn put_budget(headers: &mut HeaderMap, budget: Budget) {
    headers.insert("ratelimit-limit", HeaderValue::from(budget.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(budget.remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(budget.reset));
}

//! A request, and the faults that strike it.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;
use tokio_stream::StreamExt as _;

use super::answer::Refusal;
use super::call::Call;
use super::{FAULT_PATH, objects, signature};
use crate::clock::SharedWorld;
use crate::faults::CallFault;
use crate::http_server::Cut;

/// Answers one request, as far as faults let it.
pub(super) async fn handle(world: SharedWorld, request: Request<Incoming>) -> Result<Response, Cut> {
    let call = match Call::read(request).await {
        Ok(call) => call,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let path = format!("{FAULT_PATH}/{}/{}", call.bucket, call.key);
    let faults = world.with(|world, _| world.strike_call(call.method.as_str(), &path));
    for fault in &faults {
        match fault {
            CallFault::RequestLost => return Err(Cut),
            CallFault::Refused { code } => {
                return Ok(Refusal::new(code, "an injected fault refuses this request").into_response());
            }
            CallFault::RateLimited { .. } => {
                return Ok(Refusal::new("SlowDown", "reduce your request rate").into_response());
            }
            CallFault::RequestRepeated => drop(answer(&world, &call)),
            CallFault::AnswerLost
            | CallFault::AnswerDelayed { .. }
            | CallFault::AnswerGarbled
            | CallFault::AnswerTruncated => {}
        }
    }
    let mut response = answer(&world, &call);
    for fault in faults {
        match fault {
            CallFault::AnswerLost => return Err(Cut),
            CallFault::AnswerDelayed { millis } => tokio::time::sleep(Duration::from_millis(millis)).await,
            CallFault::AnswerGarbled => response = corrupted(response).await,
            CallFault::AnswerTruncated => response = truncated(response).await,
            CallFault::RequestLost
            | CallFault::RequestRepeated
            | CallFault::Refused { .. }
            | CallFault::RateLimited { .. } => {}
        }
    }
    Ok(response)
}

/// Who signs goes by wall time, however far the world's clock was set forward.
fn answer(world: &SharedWorld, call: &Call) -> Response {
    let now = Timestamp::now();
    let done = world.with(|world, _| {
        let storage = world.object_storage();
        signature::verify(call, storage, now)?;
        objects::act(call, storage, now)
    });
    done.unwrap_or_else(Refusal::into_response)
}

async fn whole(body: Body) -> Vec<u8> {
    body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default()
}

/// The same length and the same headers: of an object a bit in the middle is turned, and a document is none any more.
async fn corrupted(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let mut body = whole(body).await;
    if parts.headers.contains_key(header::CONTENT_TYPE) && body.starts_with(b"<?xml") {
        body.fill(b'<');
    }
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 0x10;
    }
    Response::from_parts(parts, Body::from(body))
}

/// The length of the whole is told, and the connection cut after half of it.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = Bytes::from(whole(body).await);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let pieces = tokio_stream::iter([Some(half), None]).then(async |piece| match piece {
        Some(half) => Ok(half),
        None => {
            // What was written goes out before the cut: the body has nothing more to give for a moment.
            tokio::task::yield_now().await;
            Err(Cut)
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

//! How faults on calls look on the wire, for servers that answer a whole request with a whole answer.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use tokio_stream::StreamExt as _;

use crate::faults::CallFault;
use crate::http_server::Cut;

/// Why an injected fault refuses a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused<'a> {
    /// With this code.
    Code(&'a str),
    /// For there were too many.
    RateLimited {
        /// Seconds until more are taken.
        reset_seconds: u32,
    },
}

/// Answers a call as the faults that strike it let it be answered.
pub(crate) async fn answer(
    faults: Vec<CallFault>,
    refuse: impl Fn(Refused<'_>) -> Response,
    answer: impl Fn() -> Response,
) -> Result<Response, Cut> {
    for fault in &faults {
        match fault {
            CallFault::RequestLost => return Err(Cut),
            CallFault::Refused { code } => return Ok(refuse(Refused::Code(code))),
            CallFault::RateLimited { reset_seconds } => {
                return Ok(refuse(Refused::RateLimited { reset_seconds: *reset_seconds }));
            }
            CallFault::RequestRepeated => drop(answer()),
            CallFault::AnswerLost
            | CallFault::AnswerDelayed { .. }
            | CallFault::AnswerGarbled
            | CallFault::AnswerTruncated => {}
        }
    }
    let mut response = answer();
    for fault in faults {
        match fault {
            CallFault::AnswerLost => return Err(Cut),
            CallFault::AnswerDelayed { millis } => tokio::time::sleep(Duration::from_millis(millis)).await,
            CallFault::AnswerGarbled => response = garbled(response).await,
            CallFault::AnswerTruncated => response = truncated(response).await,
            CallFault::RequestLost
            | CallFault::RequestRepeated
            | CallFault::Refused { .. }
            | CallFault::RateLimited { .. } => {}
        }
    }
    Ok(response)
}

async fn whole(body: Body) -> Vec<u8> {
    body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default()
}

/// The same length and the same headers: of an object a bit in the middle is turned, and a document is none any more.
async fn garbled(response: Response) -> Response {
    const DOCUMENTS: [&str; 4] = ["application/xml", "application/json", "application/yaml", "application/vnd.oci"];
    let (parts, body) = response.into_parts();
    let mut body = whole(body).await;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if DOCUMENTS.iter().any(|document| kind.starts_with(document)) {
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

//! A request, and the faults that strike it.

use axum::response::{IntoResponse as _, Response};
use http::Request;
use hyper::body::Incoming;
use jiff::Timestamp;

use super::answer::Refusal;
use super::call::Call;
use super::{FAULT_PATH, objects, signature};
use crate::clock::SharedWorld;
use crate::http_faults::{self, Refused};
use crate::http_server::Cut;

/// Answers one request, as far as faults let it.
pub(super) async fn handle(world: SharedWorld, request: Request<Incoming>) -> Result<Response, Cut> {
    let call = match Call::read(request).await {
        Ok(call) => call,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let path = format!("{FAULT_PATH}/{}/{}", call.bucket, call.key);
    let faults = world.with(|world, _| world.strike_call(call.method.as_str(), &path));
    http_faults::answer(faults, refused, || answer(&world, &call)).await
}

fn refused(why: Refused<'_>) -> Response {
    let refusal = match why {
        Refused::Code(code) => Refusal::new(code, "an injected fault refuses this request"),
        Refused::RateLimited { .. } => Refusal::new("SlowDown", "reduce your request rate"),
    };
    refusal.into_response()
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

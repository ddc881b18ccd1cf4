//! Writing answers: JSON with its status, and errors in Hetzner's shape.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::money::Money;
use crate::world::{ApiError, ErrorCode};

/// What a route answers.
pub(super) type Answer = Result<Reply, ApiError>;

/// An answer that isn't an error.
pub(super) enum Reply {
    Ok(Value),
    Created(Value),
    NoContent,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Ok(body) => with_body(StatusCode::OK, &body),
            Self::Created(body) => with_body(StatusCode::CREATED, &body),
            Self::NoContent => StatusCode::NO_CONTENT.into_response(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fields: Vec<Value> = self
            .fields
            .iter()
            .map(|field| match &field.message {
                Some(message) => json!({"name": field.name, "messages": [message]}),
                None => json!({"name": field.name}),
            })
            .collect();
        let details = if self.code == ErrorCode::DeprecatedApiEndpoint {
            json!({"announcement": "https://docs.hetzner.cloud/changelog"})
        } else if fields.is_empty() {
            Value::Null
        } else {
            json!({"fields": fields})
        };
        let error = json!({"code": self.code.as_str(), "message": self.message, "details": details});
        with_body(status, &json!({"error": error}))
    }
}

fn with_body(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], Body::from(body.to_string())).into_response()
}

/// A time as Hetzner writes it: RFC 3339 in UTC, to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A price, with and without VAT.
pub(super) fn price(net: Money) -> Value {
    json!({"net": net.to_string(), "gross": net.gross().to_string()})
}

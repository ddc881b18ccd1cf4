//! What is answered: documents, and errors with a message as GitHub's have it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// A document with its status, or why there is none.
pub(super) type Answer = Result<Document, Refusal>;

/// A document.
pub(super) struct Document {
    status: StatusCode,
    body: Value,
}

impl Document {
    pub(super) fn found(body: Value) -> Self {
        Self { status: StatusCode::OK, body }
    }

    pub(super) fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

/// An error.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u16,
    message: String,
    too_many: bool,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), too_many: false }
    }

    /// GitHub hides from those who may not see it that something exists.
    pub(super) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(super) fn rate_limited() -> Self {
        Self { too_many: true, ..Self::new(403, "API rate limit exceeded for user ID 1.") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.code.to_string(),
        });
        let remaining = if self.too_many { "0" } else { "4999" };
        (status, [("x-ratelimit-remaining", remaining)], Json(body)).into_response()
    }
}

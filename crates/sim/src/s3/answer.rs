//! What is answered: errors as S3's XML documents, with the status of each code.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::encoding::xml;

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    message: String,
    /// The region that would be right.
    region: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), region: None }
    }

    /// A signature for another region than this.
    pub(super) fn elsewhere(region: &str) -> Self {
        let message = format!("the authorization header is malformed; the region is wrong; expecting '{region}'");
        Self { region: Some(region.to_owned()), ..Self::new("AuthorizationHeaderMalformed", message) }
    }

    fn status(&self) -> StatusCode {
        match self.code.as_str() {
            "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => {
                StatusCode::FORBIDDEN
            }
            "NoSuchBucket" | "NoSuchKey" => StatusCode::NOT_FOUND,
            "MethodNotAllowed" => StatusCode::METHOD_NOT_ALLOWED,
            "InternalError" => StatusCode::INTERNAL_SERVER_ERROR,
            "NotImplemented" => StatusCode::NOT_IMPLEMENTED,
            "SlowDown" | "ServiceUnavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let region = self.region.as_ref().map_or_else(String::new, |it| format!("<Region>{}</Region>", xml(it)));
        let body = format!(
            "<Error><Code>{}</Code><Message>{}</Message>{region}<RequestId>simulated</RequestId></Error>",
            xml(&self.code),
            xml(&self.message)
        );
        document(self.status(), &body)
    }
}

/// An XML document.
pub(super) fn document(status: StatusCode, root: &str) -> Response {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}");
    (status, [(header::CONTENT_TYPE, "application/xml")], Body::from(text)).into_response()
}

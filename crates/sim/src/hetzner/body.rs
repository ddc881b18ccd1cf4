//! Reading requests: the caller, the path, and a body that is JSON of exactly the expected shape.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::Caller;
use crate::world::{ApiError, ErrorCode};

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, "unable to authenticate"))
    }
}

/// A number in the path; anything else names nothing that exists.
pub(super) struct Id<T>(pub(super) T);

impl<S: Send + Sync, T: From<u64>> FromRequestParts<S> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        use axum::extract::Path;
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let segments = path.map(|Path(segments)| segments).unwrap_or_default();
        let id = segments.first().and_then(|(_, text)| text.parse::<u64>().ok());
        id.map(|id| Self(T::from(id))).ok_or_else(|| ApiError::new(ErrorCode::NotFound, "the path names no resource"))
    }
}

/// A JSON body; an absent one counts as `{}`.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let unreadable = |_| ApiError::new(ErrorCode::InvalidInput, "the request body could not be read");
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|error| match error.classify() {
            Category::Data => ApiError::invalid("body", error.to_string()),
            Category::Syntax | Category::Eof | Category::Io => {
                ApiError::new(ErrorCode::JsonError, format!("invalid JSON: {error}"))
            }
        })
    }
}

/// The parameters after the question mark, in order.
pub(super) struct Params(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        use axum::extract::Query;
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        Ok(Self(query.map(|Query(pairs)| pairs).unwrap_or_default()))
    }
}

//! A small client of the Kubernetes API: one JSON request on one connection. The simulator's own, so that it shares no
//! mistake with the product's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No connection, or it broke.
    #[error("the API server at {address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: Ipv4Addr,
        /// What happened.
        why: String,
    },
    /// An answer that is no success.
    #[error("the API server answered {status}: {message}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// Its words.
        message: String,
    },
}

impl ApiError {
    /// Whether the answer was of this status.
    #[must_use]
    pub fn is(&self, expected: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == expected)
    }
}

/// How a body is meant.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// No body.
    Empty,
    /// A whole object.
    Object(&'a Value),
    /// A server-side apply.
    Apply(&'a Value),
    /// A JSON merge patch.
    Merge(&'a Value),
    /// A strategic merge patch.
    Strategic(&'a Value),
}

/// The API of one API server, as one client.
#[derive(Clone)]
pub struct Api {
    address: Ipv4Addr,
    tls: Arc<ClientConfig>,
    token: Option<String>,
}

impl fmt::Debug for Api {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Api {
    /// With a client certificate in `tls`, or none.
    #[must_use]
    pub fn new(address: Ipv4Addr, tls: Arc<ClientConfig>) -> Self {
        Self { address, tls, token: None }
    }

    /// With a bearer token besides.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self { token: Some(token), ..self }
    }

    /// One request; the answer's JSON, or its text as a JSON string.
    ///
    /// # Errors
    /// Where there is no answer, or one that is no success.
    pub async fn call(&self, method: Method, path: &str, body: Body<'_>) -> Result<Value, ApiError> {
        let unreachable = |why: String| ApiError::Unreachable { address: self.address, why };
        let answer = timeout(TIMEOUT, self.exchange(method, path, body));
        let (status, text) =
            answer.await.map_err(|_| unreachable("it takes too long".to_owned()))?.map_err(unreachable)?;
        let value = serde_json::from_slice(&text)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&text).into_owned()));
        if status.is_success() {
            return Ok(value);
        }
        let message = value.get("message").or(Some(&value)).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(ApiError::Refused { status, message })
    }

    async fn exchange(&self, method: Method, path: &str, body: Body<'_>) -> Result<(StatusCode, Bytes), String> {
        let stream = TcpStream::connect((self.address, 6443)).await.map_err(|error| error.to_string())?;
        let name = ServerName::IpAddress(IpAddr::from(self.address).into());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream);
        let stream = TokioIo::new(stream.await.map_err(|error| error.to_string())?);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(stream).await.map_err(|error| error.to_string())?;
        let request = self.request(method, path, body).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok((status, bytes))
        };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection ends when the answer is complete, perhaps before it is read.
            _ = connection => exchange.await,
        }
    }

    fn request(&self, method: Method, path: &str, body: Body<'_>) -> http::Result<Request<Full<Bytes>>> {
        let (kind, value) = match body {
            Body::Empty => ("application/json", None),
            Body::Object(value) => ("application/json", Some(value)),
            Body::Apply(value) => ("application/apply-patch+yaml", Some(value)),
            Body::Merge(value) => ("application/merge-patch+json", Some(value)),
            Body::Strategic(value) => ("application/strategic-merge-patch+json", Some(value)),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("{}:6443", self.address))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, kind);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Full::from(value.map(ToString::to_string).unwrap_or_default()))
    }
}

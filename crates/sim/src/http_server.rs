//! An HTTP server that a fault may cut: what Hetzner's API and the object store have in common on their sockets.
//!
//! It knows no route and no fault. A handler that gives [`Cut`] instead of an answer ends its connection.

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by an injected fault")]
pub(crate) struct Cut;

/// Serves until it is told to stop; open connections are dropped then. `whose` is for the log, as in `the object store`.
pub(crate) async fn serve<H, F>(listener: TcpListener, whose: &'static str, handle: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Cut>> + Send + 'static,
{
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, whose, handle.clone(), stop.clone()));
            }
            Err(error) => tracing::warn!(%error, "a connection to {whose} could not be accepted"),
        }
    }
    connections.close();
    connections.wait().await;
}

/// Serves one connection until the client leaves, a fault cuts it, or the simulator stops.
async fn connection<H, F>(stream: TcpStream, whose: &'static str, handle: H, stop: CancellationToken)
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response, Cut>> + Send + 'static,
{
    let service = service_fn(handle);
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to {whose} ended");
        }
    }
}

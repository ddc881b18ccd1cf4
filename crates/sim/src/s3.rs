//! An S3-compatible object store on a socket: what `world::object_storage` holds, behind the wire format of S3.
//!
//! Each request's signature (Version 4, in the header or in the query) and checksums are verified for real, by wall time
//! whatever the world's clock says, with code that shares nothing with the project's client. Buckets are found by path or
//! by host. The faults of [`crate::faults`] strike here as they do at Hetzner's API: paths are `/s3/BUCKET/KEY`.
//!
//! What it does as Hetzner Object Storage does and others do not: signatures in chunks are refused. What it lacks is in
//! the crate's README.

mod answer;
mod call;
mod encoding;
mod objects;
mod request;
mod signature;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedWorld;
use crate::http_server;

/// What the paths of calls begin with, as faults name them.
pub const FAULT_PATH: &str = "/s3";

/// Serves the object store until it is told to stop. Open connections are dropped then.
pub async fn serve(listener: TcpListener, world: SharedWorld, stop: CancellationToken) {
    let handle = move |request| request::handle(world.clone(), request);
    http_server::serve(listener, "the object store", handle, stop).await;
}

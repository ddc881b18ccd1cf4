//! S3-compatible object stores: the engine's [`Snapshots`](helix_engine::seams::Snapshots) on HTTP, signed by AWS
//! Signature Version 4.
//!
//! The endpoint is taken as it is written. Where its host begins with the bucket's name and a dot it is the bucket's own
//! (virtual-host style); else the bucket is the first segment of the path (path style), which stores behind one name or
//! a bare address understand.
//!
//! Hetzner Object Storage, by its documents: a Ceph per location at `https://LOCATION.your-objectstorage.com` (`fsn1`,
//! `nbg1`, `hel1`), each bucket also at `https://BUCKET.LOCATION.your-objectstorage.com`; a key pair belongs to a project
//! and opens every bucket of it; objects are never changed, only put anew. As seen in the field it refuses uploads that
//! are signed in chunks (`XAmzContentSHA256Mismatch`), so each request here is signed with the digest of its whole body.
//! Which additional checksums a Ceph keeps depends on its release; the metadata that a client gives, all of them do, so
//! that is where the digest of an object goes that is compared when it comes back.
//!
//! Deliberately absent: retries, uploads in parts, making buckets.

mod address;
mod answer;
mod credentials;
mod listing;
mod objects;
mod signature;
mod snapshots;
mod transport;

pub use credentials::Credentials;
pub use objects::BucketClient;
pub use snapshots::BucketSnapshots;
pub use transport::{ObjectStores, SetUpError};

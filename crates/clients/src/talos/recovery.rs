//! Saving and founding etcd: snapshots on their way out of a member and into a machine that is to found it again.
//!
//! A snapshot is a whole database, and with it every Secret of the cluster: it is held in memory, within a bound, and
//! shown nowhere. Whether it is whole is told by the hash at its end, which is checked here on the way out and by Talos
//! on the way in; it is never asked to leave that out.

use std::time::Duration;

use async_trait::async_trait;
use helix_engine::seams::{Recovery, TalosError, TalosRoute};
use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::failure::Failure;
use super::wire::common::Data;
use super::wire::machine::{BootstrapRequest, EtcdSnapshotRequest, ServiceRestartRequest};
use super::{CHANGE, Machine, TalosClient, machine_service};

/// Bound of a snapshot's way over the network: the largest takes as long at 9 Mbit/s.
const TRANSFER: Duration = Duration::from_secs(120);
/// How much of a snapshot one message carries.
const PIECE: usize = 1 << 20;
/// Length of the SHA-256 at a snapshot's end.
const HASH: usize = 32;

#[async_trait]
impl Recovery for TalosClient {
    async fn etcd_snapshot(&self, route: &TalosRoute, limit: usize) -> Result<Vec<u8>, TalosError> {
        let machine = self.configured(route)?;
        match tokio::time::timeout(TRANSFER, machine.download(limit)).await {
            Ok(snapshot) => snapshot,
            Err(_) => machine.judge(Err(Failure::TimedOut(TRANSFER))),
        }
    }

    async fn etcd_recover(&self, route: &TalosRoute, snapshot: Vec<u8>) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        let outcome = machine
            .send(TRANSFER, pieces(snapshot), |line, request| async {
                machine_service(line).etcd_recover(request).await
            })
            .await;
        machine.judge(outcome).map(drop)
    }

    async fn bootstrap_recovered(&self, route: &TalosRoute) -> Result<(), TalosError> {
        self.configured(route)?.bootstrap(BootstrapRequest { recover_etcd: true }).await
    }

    async fn restart_kubelet(&self, route: &TalosRoute) -> Result<(), TalosError> {
        let machine = self.configured(route)?;
        let request = ServiceRestartRequest { id: "kubelet".to_owned() };
        let outcome = machine
            .send(CHANGE, request, |line, request| async { machine_service(line).service_restart(request).await })
            .await;
        machine.judge(outcome).map(drop)
    }
}

impl Machine {
    /// A snapshot of at most `limit` bytes, found whole.
    async fn download(&self, limit: usize) -> Result<Vec<u8>, TalosError> {
        let outcome = self
            .send(TRANSFER, EtcdSnapshotRequest {}, |line, request| async {
                machine_service(line).etcd_snapshot(request).await
            })
            .await;
        let mut told = self.judge(outcome)?;
        let mut snapshot = Vec::new();
        while let Some(piece) = self.judge(told.message().await.map_err(Failure::Status))? {
            if snapshot.len() + piece.bytes.len() > limit {
                let why = format!("the snapshot of etcd has more than {limit} bytes");
                return Err(TalosError::Invalid { address: self.meant(), why });
            }
            snapshot.extend_from_slice(&piece.bytes);
        }
        if is_whole(&snapshot) { Ok(snapshot) } else { Err(self.incomplete("a snapshot that is not whole")) }
    }
}

/// Whether the hash at the end is that of all before it.
fn is_whole(snapshot: &[u8]) -> bool {
    snapshot.split_last_chunk::<HASH>().is_some_and(|(database, hash)| Sha256::digest(database).as_slice() == hash)
}

/// A snapshot in the messages in which it goes up.
fn pieces(snapshot: Vec<u8>) -> impl futures::Stream<Item = Data> + Send + 'static {
    let mut rest = Bytes::from(snapshot);
    futures::stream::iter(std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| Data { bytes: rest.split_to(PIECE.min(rest.len())) })
    }))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[test]
    fn a_snapshot_is_whole_with_its_hash_alone() {
        let mut snapshot = b"a database".to_vec();
        snapshot.extend(Sha256::digest(b"a database"));
        assert!(is_whole(&snapshot));
        assert!(!is_whole(&snapshot[..snapshot.len() - 1]));
        assert!(!is_whole(&[]));
        snapshot[3] ^= 1;
        assert!(!is_whole(&snapshot));
    }

    #[tokio::test]
    async fn pieces_are_of_a_bounded_size_and_make_up_the_whole() {
        let snapshot: Vec<u8> = (0..=250).cycle().take(PIECE * 2 + 7).collect();
        let sent: Vec<Data> = pieces(snapshot.clone()).collect().await;
        assert_eq!(sent.iter().map(|piece| piece.bytes.len()).collect::<Vec<_>>(), [PIECE, PIECE, 7]);
        assert_eq!(sent.iter().flat_map(|piece| piece.bytes.to_vec()).collect::<Vec<_>>(), snapshot);
    }
}

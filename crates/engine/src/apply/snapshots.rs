//! Steps on snapshots of etcd: taking, pruning, and coming up again from one.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{Either, select};
use helix_plan::names::{MachineName, PlatformIdentity};
use helix_plan::observed::{RestoreRecord, SnapshotFailure};
use helix_plan::secrets::SecretBundle;
use helix_plan::validated::Bucket;

use super::{Applier, Met};
use crate::in_hand::Ended;
use crate::observe::BackupPlace;
use crate::seams::{Clock, LARGEST_SNAPSHOT, Recovery, SnapshotError, Snapshots, StoreError, TalosError, TalosRoute};
use crate::snapshot::{self, About};

/// How long a snapshot may take from etcd to the bucket before it is given up.
const LONGEST: Duration = Duration::from_secs(600);

impl From<SnapshotError> for Met {
    fn from(error: SnapshotError) -> Self {
        Self::failed(error.reason(), error.to_string())
    }
}

impl Applier<'_> {
    fn backup_place(&self) -> Result<&BackupPlace, Met> {
        self.access.backup.as_ref().ok_or_else(|| super::machines::not_at_hand("the bucket"))
    }

    fn bucket(&self) -> Result<&Bucket, Met> {
        Ok(&self.backup_place()?.bucket)
    }

    /// Sets a snapshot going; [`InHand`](crate::in_hand::InHand) tells how it ends. Under one key whatever happens: cut off
    /// before the object is whole, there is none.
    pub(super) async fn take_snapshot(&self, machine: &MachineName, key: &str) -> Result<(), Met> {
        let place = self.backup_place()?.clone();
        let bundle = self.access.bundle.clone().ok_or_else(|| super::machines::not_at_hand("the secret bundle"))?;
        let route = self.control_plane(machine)?;
        if !self.in_hand.begin(self.now) {
            return Ok(());
        }
        let work = Taking {
            recovery: Arc::clone(&self.seams.recovery),
            snapshots: Arc::clone(&self.seams.snapshots),
            clock: Arc::clone(&self.seams.clock),
            platform: self.platform.clone(),
            place,
            bundle,
            route,
            key: key.to_owned(),
        };
        let in_hand = self.in_hand.clone();
        self.seams.clock.set_going(async move { in_hand.end(work.finish().await) }.boxed()).await;
        Ok(())
    }

    pub(super) async fn prune_snapshot(&self, key: &str) -> Result<(), Met> {
        Ok(self.seams.snapshots.delete(self.platform, self.bucket()?, key).await?)
    }

    /// Whoever wrote another record first has won; the next turn sees which.
    pub(super) async fn record_restore(&self, record: &RestoreRecord) -> Result<(), Met> {
        match self.seams.store.record_restore(self.platform, record).await {
            Ok(()) | Err(StoreError::Exists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks the snapshot once more: days may have passed since it was found good.
    pub(super) async fn recover_etcd(&self, machine: &MachineName, key: &str) -> Result<(), Met> {
        let route = self.control_plane(machine)?;
        let limit = snapshot::sealed_limit(LARGEST_SNAPSHOT);
        let sealed = self.seams.snapshots.get(self.platform, self.bucket()?, key, limit).await?;
        let opened = snapshot::open(self.bundle()?, &sealed)
            .map_err(|flaw| Met::failed("SnapshotFlawed", format!("{key}: {flaw}")))?;
        match self.seams.recovery.etcd_recover(&route, opened).await {
            // Without room for a snapshot etcd has its data: the bootstrap below says so.
            Ok(()) | Err(TalosError::NotReady { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.seams.recovery.bootstrap_recovered(&route).await?)
    }

    pub(super) async fn restart_kubelet(&self, machine: &MachineName) -> Result<(), Met> {
        Ok(self.seams.recovery.restart_kubelet(&self.machine(machine)?).await?)
    }
}

/// What taking a snapshot needs, wherever the turns are meanwhile.
struct Taking {
    recovery: Arc<dyn Recovery>,
    snapshots: Arc<dyn Snapshots>,
    clock: Arc<dyn Clock>,
    platform: PlatformIdentity,
    place: BackupPlace,
    bundle: Arc<SecretBundle>,
    route: TalosRoute,
    key: String,
}

impl Taking {
    async fn finish(self) -> Ended {
        let taken = match select(self.take().boxed(), self.clock.pause(LONGEST)).await {
            Either::Left((taken, _)) => taken,
            Either::Right(((), _)) => Err(format!("it was not in the bucket after {} minutes", LONGEST.as_secs() / 60)),
        };
        match taken {
            Ok(()) => Ended::Taken(self.key.clone()),
            Err(message) => Ended::Failed(SnapshotFailure { at: self.clock.now(), message }),
        }
    }

    async fn take(&self) -> Result<(), String> {
        let taken = self.recovery.etcd_snapshot(&self.route, LARGEST_SNAPSHOT).await;
        let taken = taken.map_err(|error| error.to_string())?;
        let about = About {
            platform: &self.platform.uid,
            taken_at: self.clock.now(),
            talos: self.place.versions.talos.to_string(),
            kubernetes: self.place.versions.kubernetes.to_string(),
        };
        let sealed = snapshot::seal(&self.bundle, about, &taken).map_err(|error| error.to_string())?;
        let put = self.snapshots.put(&self.platform, &self.place.bucket, &self.key, sealed).await;
        put.map_err(|error| error.to_string())
    }
}

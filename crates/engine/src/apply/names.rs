//! Steps on names and the mesh. Creation of a record is idempotent by the name: one that is taken is ours when its label says so.

use helix_plan::observed::{Record, SetbackKind};
use helix_plan::step::{MeshChange, RECORD, RecordChange, Step};

use super::{Applier, Met};
use crate::seams::CloudError;

impl Applier<'_> {
    pub(super) async fn change_record(&self, change: &RecordChange, step: &Step) -> Result<(), Met> {
        let cloud = self.seams.project.cloud();
        let lane = step.lane();
        let accepted = match change {
            RecordChange::Create(record) => match cloud.create_record(lane, record).await {
                Err(CloudError::Taken { .. }) => return self.whose_is(record, step).await,
                other => other?,
            },
            RecordChange::Set(record) => cloud.set_record(lane, record).await?,
            RecordChange::Delete { zone, name } => cloud.delete_record(lane, zone, name).await?,
        };
        self.accepted(step, accepted.actions, |_| ()).await;
        Ok(())
    }

    pub(super) async fn change_mesh(&self, change: &MeshChange) -> Result<(), Met> {
        let Some(account) = &self.access.mesh else { return Ok(()) };
        Ok(self.seams.mesh.change(&self.platform.namespace, account, change).await?)
    }

    /// A name that has a record already: ours, where an earlier answer was lost.
    async fn whose_is(&self, record: &Record, step: &Step) -> Result<(), Met> {
        let found = self.seams.project.cloud().record(step.lane(), &record.zone, &record.name).await?;
        let name = record.host();
        let kind = match found {
            Some(found) if self.platform.owns(&found.labels) => return Ok(()),
            Some(found) if self.platform.is_namesake(&found.labels) => SetbackKind::Namesake { kind: RECORD, name },
            Some(_) => SetbackKind::ForeignResource { kind: RECORD, name },
            None => {
                let message = format!("{name} has a record, but nobody has it");
                SetbackKind::Failed { reason: "NameTaken".to_owned(), message }
            }
        };
        Err(Met::from_kind(kind))
    }
}

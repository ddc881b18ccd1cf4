//! What a platform that is deleted leaves in the account of its mesh: it goes once nobody in a cluster would make it again.
//! An account that cannot be asked any more, or that refuses, holds nothing back.

use super::super::Outcome;
use crate::observed::Observed;
use crate::step::{MeshChange, Step};

/// What is to go; `None` where nothing is left that is proved to be the platform's.
pub(super) fn leave(observed: &Observed) -> Option<Outcome> {
    let mesh = observed.mesh.value()?;
    let deletion = |id: &String, name: &String| {
        Step::ChangeMesh(MeshChange::DeleteNetwork {
            id: id.clone(),
            name: name.clone(),
            setup_keys: mesh.setup_keys.iter().map(|key| key.id.clone()).collect(),
            groups: mesh.groups.values().cloned().collect(),
        })
    };
    let deletions = mesh.networks.iter().map(|network| deletion(&network.id, &network.name));
    let failed = |step: &Step| {
        let target = step.target().to_string();
        observed.setbacks.iter().any(|setback| setback.target == target)
    };
    let steps: Vec<Step> = deletions.filter(|step| !failed(step)).collect();
    (!steps.is_empty()).then(|| Outcome::steps(steps))
}

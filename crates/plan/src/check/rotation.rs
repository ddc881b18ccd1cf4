//! What must hold of plans that rotate certificate authorities: nobody is locked out. The next stage begins only when every
//! machine is known to answer those whom it makes, and no machine is disturbed otherwise meanwhile.

use super::{Subject, steps};
use crate::names::MachineName;
use crate::observed::{CloudFacts, ServerStatus, StoreFacts};
use crate::secrets::RotationStage;
use crate::step::Step;

pub(super) fn only_when_known(subject: &Subject<'_>, cloud: &CloudFacts, store: &StoreFacts) -> Vec<String> {
    let under_way = store.rotation.as_ref().map(|facts| facts.stage);
    let machines: Vec<MachineName> = cloud
        .servers
        .iter()
        .filter(|server| server.status != ServerStatus::Deleting)
        .filter_map(|server| MachineName::parse(&server.name).ok())
        .collect();
    let proofs = &subject.observed.proofs;
    let unproved = || {
        machines.iter().find(|machine| {
            let api_server = !machine.is_control_plane() || proofs.api_servers.contains(machine);
            !proofs.machines.contains(machine) || !api_server
        })
    };
    steps(subject)
        .filter_map(|step| match step {
            Step::BeginRotation { .. } if under_way.is_some_and(|stage| stage != RotationStage::Done) => {
                Some(format!("{step} while another rotation is under way"))
            }
            Step::AdvanceRotation { from, to } if under_way != Some(*from) || from.next() != Some(*to) => {
                Some(format!("{step}, which is not at that stage"))
            }
            Step::AdvanceRotation { to, .. } if *to != RotationStage::Done => {
                unproved().map(|machine| format!("{step} while {machine} has not answered as it would have to"))
            }
            _ => None,
        })
        .collect()
}

//! What a step changes about a node of the workload cluster, and the two changes that mark a disturbance.

use std::collections::BTreeMap;

use helix_crds::labels;
use serde::Serialize;

use crate::disruption::{Cause, Mark};
use crate::observed::{NodeTaint, Tags};

/// What is to be different on a node of the workload cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodePatch {
    /// Labels to set.
    pub labels: Tags,
    /// Labels to take away.
    pub remove_labels: Vec<String>,
    /// The node's taints from now on, complete; `None` leaves them.
    pub taints: Option<Vec<NodeTaint>>,
    /// Annotations to set, or (`None`) to take away.
    pub annotations: BTreeMap<String, Option<String>>,
    /// Whether further pods are kept from the node; `None` leaves it.
    pub unschedulable: Option<bool>,
}

impl NodePatch {
    /// Marks a node, and keeps further pods from it unless its machine is only watched.
    #[must_use]
    pub fn mark(mark: &Mark) -> Self {
        let annotations = BTreeMap::from([(labels::DISRUPTION.to_owned(), Some(mark.to_string()))]);
        let unschedulable = (mark.cause != Cause::Ailing).then_some(true);
        Self { annotations, unschedulable, ..Self::default() }
    }

    /// Takes the mark from a node; pods come again unless others had cordoned it.
    #[must_use]
    pub fn unmark(stays_cordoned: bool) -> Self {
        let annotations = BTreeMap::from([(labels::DISRUPTION.to_owned(), None)]);
        Self { annotations, unschedulable: (!stays_cordoned).then_some(false), ..Self::default() }
    }
}

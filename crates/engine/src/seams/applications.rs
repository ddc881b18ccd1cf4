//! What Argo CD tells in the platform's cluster.

use std::collections::BTreeMap;

use async_trait::async_trait;
use helix_plan::observed::Application;

use super::{WorkloadError, WorkloadRoute};

/// Argo CD's Applications, as their statuses tell.
#[async_trait]
pub trait Applications: Send + Sync {
    /// All that the platform's Argo CD has, by name; `None` while the cluster does not know their kind.
    async fn applications(&self, route: &WorkloadRoute)
    -> Result<Option<BTreeMap<String, Application>>, WorkloadError>;

    /// Lets Argo CD look at the repository now, instead of at its next round.
    async fn refresh(&self, route: &WorkloadRoute) -> Result<(), WorkloadError>;
}

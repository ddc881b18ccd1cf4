//! Publishing the GitOps tree.

use helix_plan::observed::SetbackKind;

use super::{Applier, Met};
use crate::seams::GitError;

impl From<GitError> for Met {
    fn from(error: GitError) -> Self {
        match error {
            GitError::Unreachable { .. } | GitError::Busy { .. } | GitError::NoGit { .. } => {
                Self::failed(error.reason(), error.to_string())
            }
            // Somebody has to act: who asks again meanwhile is told the same.
            _ => Self::from_kind(SetbackKind::Rejected { reason: error.reason(), message: error.to_string() }),
        }
    }
}

impl Applier<'_> {
    /// Publishes the tree, if it is still the one that is meant.
    pub(super) async fn publish_tree(&self, digest: &str) -> Result<(), Met> {
        let wanted = self.wanted.and_then(|platform| platform.layers.gitops.as_ref()?.repository.as_ref());
        let tree = self.tree.as_ref().filter(|tree| tree.digest() == digest);
        let (Some(repository), Some(tree)) = (wanted, tree) else {
            return Err(Met::failed("Outdated", "the tree is another one by now".to_owned()));
        };
        let commit = self.seams.git.publish(self.platform, repository, tree, self.now).await?;
        tracing::info!(repository = repository.url, commit, "the tree is published");
        // Argo CD looks by itself, too, only later.
        if let Ok(route) = self.route()
            && let Err(error) = self.seams.applications.refresh(&route).await
        {
            tracing::debug!(%error, "Argo CD is not told of the commit");
        }
        Ok(())
    }
}

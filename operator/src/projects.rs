//! The projects that this process works in: one per token and endpoint, shared by all platforms that use it, with a
//! bound on how many of them are looked after at the same time.
//!
//! Tokens are neither kept nor shown here: the client holds them, and says itself whether two are the same.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use helix_clients::hetzner::{ConnectError, Connection, HetznerProject, Projects};
use helix_engine::Project;
use helix_engine::seams::{Clock, Cloud};
use helix_engine::sweep::Sweeper;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A project that platforms share.
pub(crate) struct SharedProject {
    client: Arc<HetznerProject>,
    pub(crate) project: Arc<Project>,
    /// What earlier sweeps for orphans have seen.
    pub(crate) sweeper: tokio::sync::Mutex<Sweeper>,
    passes: Semaphore,
}

impl fmt::Debug for SharedProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedProject")
    }
}

impl SharedProject {
    /// Waits until one more pass may run. `None` never happens, for nobody closes the semaphore, and bounds nothing.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.passes.acquire().await.ok()
    }
}

/// All of them, for as long as a platform holds them.
#[derive(Debug)]
pub(crate) struct SharedProjects {
    clients: Projects,
    passes_per_token: usize,
    shared: Mutex<Vec<Weak<SharedProject>>>,
}

impl SharedProjects {
    pub(crate) fn new(clock: Arc<dyn Clock>, passes_per_token: u16) -> Self {
        Self { clients: Projects::new(clock), passes_per_token: passes_per_token.into(), shared: Mutex::default() }
    }

    /// The project of a token. Sends nothing.
    pub(crate) fn connect(&self, connection: &Connection) -> Result<Arc<SharedProject>, ConnectError> {
        let client = self.clients.connect(connection)?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.iter().filter_map(Weak::upgrade).find(|known| Arc::ptr_eq(&known.client, &client)) {
            return Ok(known);
        }
        let cloud: Arc<dyn Cloud> = Arc::<HetznerProject>::clone(&client);
        let new = Arc::new(SharedProject {
            client,
            project: Arc::new(Project::new(cloud)),
            sweeper: tokio::sync::Mutex::default(),
            passes: Semaphore::new(self.passes_per_token),
        });
        shared.retain(|project| project.strong_count() > 0);
        shared.push(Arc::downgrade(&new));
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use helix_plan::secrets::Secret;

    use super::*;
    use crate::clock::SystemClock;

    fn connect(projects: &SharedProjects, token: &str) -> Arc<SharedProject> {
        let endpoint = "https://api.example/v1".to_owned();
        projects.connect(&Connection { endpoint, token: Secret::new(token) }).unwrap()
    }

    #[tokio::test]
    async fn platforms_of_one_token_share_one_project_and_its_bound() {
        let projects = SharedProjects::new(Arc::new(SystemClock), 2);
        let (one, same, other) =
            (connect(&projects, "alpha"), connect(&projects, "alpha\n"), connect(&projects, "beta"));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one.project, &other.project));
        let _permits = (one.permit().await, same.permit().await);
        assert_eq!((one.passes.available_permits(), other.passes.available_permits()), (0, 2));
    }

    #[test]
    fn what_no_platform_holds_is_forgotten() {
        let projects = SharedProjects::new(Arc::new(SystemClock), 2);
        drop(connect(&projects, "alpha"));
        let _beta = connect(&projects, "beta");
        assert_eq!(projects.shared.lock().unwrap().len(), 1);
    }
}

//! Looking at the platform's repository: the tree that it is to hold, put together of what components are to be, and what
//! is there; and at what Argo CD makes of it.
//!
//! While there is something to publish the repository is asked every few seconds, else once a minute.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helix_crds::GitRepository;
use helix_plan::components::Component;
use helix_plan::gitops::{Tree, TreeError};
use helix_plan::observed::{Components, Fact, GitOpsFacts, KubernetesFacts, Missing, Published, TreeFacts};
use helix_plan::validated::ValidatedPlatform;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Access, race};
use crate::memory::Memory;
use crate::seams::{GitError, Published as Found, Seams, WorkloadRoute};

/// How long what was found is good while all is as it should be, and after an error.
const SELDOM: SignedDuration = SignedDuration::from_mins(1);
/// How long it is good while something is to be published.
const OFTEN: SignedDuration = SignedDuration::from_secs(5);
/// How long the repository is waited for: everything else that the turn is to do waits with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tree that was made last, what of, and what was found in its place.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Each component's key.
    made_of: BTreeMap<Component, String>,
    tree: Option<Result<Arc<Tree>, TreeError>>,
    found: Option<(Timestamp, Fact<Published>)>,
}

impl Kept {
    /// The tree that is wanted, if there is one.
    pub(crate) fn tree(&self) -> Option<Arc<Tree>> {
        self.tree.as_ref().and_then(|tree| tree.as_ref().ok()).cloned()
    }

    /// Something was published: the repository is looked at anew.
    pub(crate) fn touched(&mut self) {
        self.found = None;
    }
}

/// What is known of the repository and of what is synced from it.
pub(super) async fn look(
    seams: &Seams,
    platform: &ValidatedPlatform,
    (access, kubernetes): (&Access, &Fact<KubernetesFacts>),
    components: &Components,
    memory: &mut Memory,
    now: Timestamp,
) -> GitOpsFacts {
    let mut facts = GitOpsFacts::unknown();
    let repository = platform.layers.gitops.as_ref().and_then(|gitops| gitops.repository.as_ref());
    let (Some(repository), Some(_)) = (repository, platform.component(Component::ArgoCd)) else { return facts };
    let without = put_together(platform, components, memory);
    facts.tree = memory.gitops.tree.as_ref().map(|tree| TreeFacts {
        digest: tree.as_ref().map(|tree| tree.digest().to_owned()).map_err(ToString::to_string),
        without,
    });
    facts.published = published(seams, platform, repository, memory, now).await;
    let route = access.to_cluster().into_iter().map(|(route, _)| route).next();
    facts.applications = match (kubernetes, route) {
        (Fact::Known { .. }, Some(route)) => applications(seams, &route, now).await,
        (Fact::Missing(missing), _) => Fact::Missing(missing.clone()),
        (Fact::Known { .. }, None) => Fact::Missing(Missing::NotThereYet),
    };
    facts
}

/// Makes the tree anew where a component has become another, and tells what it lacks.
fn put_together(
    platform: &ValidatedPlatform,
    components: &Components,
    memory: &mut Memory,
) -> std::collections::BTreeSet<Component> {
    let fit = |component: Component| {
        let rendered = components.get(&component)?.rendered.value()?;
        let exposed = component != Component::Traefik && !rendered.exposed.is_empty();
        let fit = rendered.forbidden.is_empty() && rendered.unknown_values.is_empty() && !exposed;
        fit.then(|| (component, rendered.key.clone()))
    };
    let wanted = platform.components.iter().map(|wanted| wanted.component);
    let made_of: BTreeMap<Component, String> = wanted.clone().filter_map(fit).collect();
    if memory.gitops.tree.is_none() || memory.gitops.made_of != made_of {
        let manifests: BTreeMap<Component, Vec<Value>> = made_of
            .keys()
            .filter_map(|component| {
                let composed = memory.installations.get(component)?.composed.as_ref()?;
                Some((*component, composed.manifests.iter().map(|manifest| manifest.object.clone()).collect()))
            })
            .collect();
        memory.gitops.tree = Some(Tree::new(&platform.layers, &manifests).map(Arc::new));
        memory.gitops.made_of.clone_from(&made_of);
        memory.gitops.touched();
    }
    wanted.filter(|component| !made_of.contains_key(component)).collect()
}

async fn published(
    seams: &Seams,
    platform: &ValidatedPlatform,
    repository: &GitRepository,
    memory: &mut Memory,
    now: Timestamp,
) -> Fact<Published> {
    if let Some((until, found)) = memory.gitops.found.as_ref().filter(|(until, _)| *until > now) {
        tracing::trace!(%until, "what was found in the repository is still good");
        return found.clone();
    }
    let Some(tree) = memory.gitops.tree() else { return Fact::Missing(Missing::NotThereYet) };
    let slow = || GitError::Unreachable {
        url: repository.url.clone(),
        why: format!("no answer within {} s", PATIENCE.as_secs()),
    };
    let looked = seams.git.look(&platform.identity, repository, &tree);
    let looked = race::within(seams.clock.as_ref(), PATIENCE, looked).await;
    let fact = match looked.unwrap_or_else(|| Err(slow())) {
        Ok(found) => Fact::known(told(found), now),
        Err(error) => Fact::Missing(missing(&repository.url, &error)),
    };
    let again = match fact.value() {
        Some(found) if !found.is_as_wanted() => OFTEN,
        _ => SELDOM,
    };
    memory.gitops.found = Some((now + again, fact.clone()));
    fact
}

fn told(found: Found) -> Published {
    let changes = found.changes.write.len() + found.changes.remove.len();
    let foreign = found.changes.foreign.iter().cloned().collect();
    Published { revision: found.revision, changes, foreign, alike: found.alike }
}

async fn applications(
    seams: &Seams,
    route: &WorkloadRoute,
    now: Timestamp,
) -> Fact<BTreeMap<String, helix_plan::observed::Application>> {
    match seams.applications.applications(route).await {
        Ok(Some(applications)) => Fact::known(applications, now),
        Ok(None) => Fact::Missing(Missing::NotThereYet),
        Err(error) => {
            Fact::Missing(Missing::Unreachable { who: "the Kubernetes API".to_owned(), why: error.to_string() })
        }
    }
}

fn missing(url: &str, error: &GitError) -> Missing {
    let who = format!("repository {url} (spec.gitops.repository)");
    match error {
        GitError::Unreachable { why, .. } => Missing::Unreachable { who, why: why.clone() },
        GitError::Busy { .. } => Missing::Unreachable { who, why: error.to_string() },
        _ => Missing::Refused { who, why: error.why(), remedy: error.remedy().to_owned() },
    }
}

//! The GitOps tree: rendered, published, and synced by Argo CD from there.
//!
//! Charts of later phases are rendered here, because their manifests are part of the tree. A component that cannot be
//! rendered holds up nobody else: the files that an earlier tree has of it stay. What Argo CD then makes of a component is
//! that component's own concern; here it is the root Application that counts.

use helix_crds::{GitRepository, Publish};

use super::{Context, Outcome};
use crate::components::{Component, ROOT_APPLICATION};
use crate::observed::{Application, Fact, Missing, Published, TreeFacts};
use crate::report::{Block, Wait};
use crate::step::Step;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let gitops = context.platform.layers.gitops.as_ref();
    let Some((gitops, repository)) = gitops.and_then(|gitops| Some((gitops, gitops.repository.as_ref()?))) else {
        return Outcome::done("no repository is asked for", context.observed.store.at());
    };
    let mut outcome = standing(context, gitops.publish, repository);
    let unrendered = unrendered(context);
    if outcome.is_done() {
        // What could not be rendered when the tree was published is tried again, and disturbs nobody.
        outcome.steps.extend(unrendered);
    } else if !unrendered.is_empty() {
        return Outcome::steps(unrendered);
    }
    outcome
}

/// Where the tree stands, as far as it can be made.
fn standing(context: &Context<'_>, how: Publish, repository: &GitRepository) -> Outcome {
    let digest = match &context.observed.gitops.tree {
        Some(TreeFacts { digest: Ok(digest), .. }) => digest,
        Some(TreeFacts { digest: Err(why), .. }) => return Outcome::blocked(Block::TreeRefused { why: why.clone() }),
        None => return Outcome::waiting(Wait::Concern(super::Concern::Component(Component::ArgoCd, PHASE))),
    };
    let (published, at) = match &context.observed.gitops.published {
        Fact::Known { value, at } => (value, *at),
        Fact::Missing(Missing::NotThereYet) => return Outcome::waiting(wait_for_merge(repository)),
        Fact::Missing(missing) => return Outcome::unknown(missing.clone()),
    };
    if let Some(path) = published.foreign.first() {
        return Outcome::blocked(Block::ForeignFile { path: path.clone(), repository: repository.url.clone() });
    }
    if !published.is_as_wanted() {
        return publish(how, repository, digest);
    }
    match &context.observed.gitops.applications {
        Fact::Known { value, .. } => match value.get(ROOT_APPLICATION).map(|root| awaited(root, published)) {
            Some(None) => Outcome::done(
                format!("{} is synced and healthy at {}", repository.url, short(&published.revision)),
                Some(at),
            ),
            Some(Some(wait)) => Outcome::waiting(wait),
            None => Outcome::waiting(Wait::Application {
                name: ROOT_APPLICATION.to_owned(),
                why: "Argo CD does not tell of it yet".to_owned(),
            }),
        },
        Fact::Missing(Missing::NotThereYet) => Outcome::waiting(context.api()),
        Fact::Missing(missing) => Outcome::unknown(missing.clone()),
    }
}

/// The phase that this is the heart of.
const PHASE: helix_crds::PhaseName = helix_crds::PhaseName::GitOpsControlPlane;

/// Charts that have to be rendered for the tree, but for those that have just failed.
fn unrendered(context: &Context<'_>) -> Vec<Step> {
    let unknown = |component: Component| {
        let facts = context.observed.components.get(&component);
        facts.is_none_or(|facts| matches!(facts.rendered, Fact::Missing(Missing::NotThereYet)))
    };
    let wanted = context.platform.components.iter().filter(|wanted| unknown(wanted.component));
    let steps = wanted.filter_map(|wanted| {
        let version = wanted.chart.as_ref()?.version.clone();
        Some(Step::RenderChart { component: wanted.component, version })
    });
    let failed = |step: &Step| {
        let target = step.target().to_string();
        context.observed.setbacks.iter().any(|setback| setback.target == target)
    };
    steps.filter(|step| !failed(step)).collect()
}

fn publish(how: Publish, repository: &GitRepository, digest: &str) -> Outcome {
    match how {
        Publish::Commit => {
            Outcome::step(Step::PublishTree { repository: repository.url.clone(), digest: digest.to_owned() })
        }
        Publish::None => Outcome::waiting(wait_for_merge(repository)),
        Publish::PullRequest => Outcome::blocked(Block::NotImplemented {
            what: "gitops.publish: PullRequest".to_owned(),
            remedy: format!(
                "Write gitops.publish: Commit, or merge into {} of {} what `helix render --gitops` writes",
                repository.branch, repository.url
            ),
        }),
    }
}

fn wait_for_merge(repository: &GitRepository) -> Wait {
    let GitRepository { url, branch, path, .. } = repository;
    Wait::Merge { repository: url.clone(), branch: branch.clone(), path: path.clone() }
}

/// What an Application still has to come to; none where it is synced and healthy with what is published.
fn awaited(application: &Application, published: &Published) -> Option<Wait> {
    let Application { sync, health, revision, problem } = application;
    let why = if !problem.is_empty() {
        problem.clone()
    } else if !published.is_at(revision) {
        format!("it is at {} and not yet at {}", short(revision), short(&published.revision))
    } else if sync != "Synced" || health != "Healthy" {
        let or_unknown = |text: &str| if text.is_empty() { "Unknown".to_owned() } else { text.to_owned() };
        format!("it is {} and {}", or_unknown(sync), or_unknown(health))
    } else {
        return None;
    };
    Some(Wait::Application { name: ROOT_APPLICATION.to_owned(), why })
}

/// As people write a commit.
fn short(revision: &str) -> &str {
    if revision.is_empty() { "no commit" } else { revision.get(..10).unwrap_or(revision) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Published {
        let (revision, alike) = ("b".repeat(40), vec!["a".repeat(40)]);
        Published { revision, changes: 0, foreign: Vec::new(), alike }
    }

    fn application(revision: &str) -> Application {
        let (sync, health) = ("Synced".to_owned(), "Healthy".to_owned());
        Application { sync, health, revision: revision.to_owned(), problem: String::new() }
    }

    #[test]
    fn an_application_counts_at_a_commit_that_holds_the_tree() {
        assert_eq!(awaited(&application(&"b".repeat(40)), &published()), None);
        assert_eq!(awaited(&application(&"a".repeat(40)), &published()), None, "another file was pushed since");
        let told = |application: &Application| awaited(application, &published()).unwrap().to_string();
        assert!(told(&application(&"c".repeat(40))).contains("it is at cccccccccc and not yet at bbbbbbbbbb"));
        assert!(told(&Application { health: "Degraded".into(), ..application(&"b".repeat(40)) }).contains("Degraded"));
        let refused = Application { problem: "authentication required".into(), ..application("") };
        assert!(told(&refused).contains("authentication required"));
    }
}

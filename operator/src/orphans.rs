//! The sweep for orphans: now and then, for each token, what is left at the provider of platforms that are gone.
//!
//! What it finds is told as log lines, as a metric, and as an event on the platforms that share the token. It deletes only
//! under `--sweep=delete`, and only what the engine holds for proved. Who lives is asked of the API server each time: a
//! watch that has fallen behind must not make an orphan of anybody. A token that no platform uses any more is nobody's to
//! sweep with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use helix_crds::{HelixPlatform, ProviderSpec};
use helix_engine::seams::CloudError;
use helix_engine::sweep::{Census, Found, SweepMode, Swept};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::error::{CallError, call};
use crate::events::{self, News, Said};
use crate::metrics::TokenLabels;
use crate::operator::Operator;
use crate::pass::project_of;
use crate::projects::SharedProject;

/// How often each token's project is swept: as often as platforms read it for drift, so that only names cost further calls.
const EVERY: Duration = Duration::from_secs(600);

/// One token's project and the platforms that use it.
type Shared = (Arc<SharedProject>, Vec<Arc<HelixPlatform>>);

/// Sweeps until the passes end, and this with them. `namespace` is the one that is looked after, where it is one.
pub(crate) async fn sweep(operator: &Operator, namespace: Option<&str>, mode: SweepMode) {
    loop {
        tokio::time::sleep(EVERY).await;
        match census(operator, namespace).await {
            Ok((census, platforms)) => {
                for shared in projects(operator, platforms).await {
                    one(operator, &shared, &census, mode).await;
                }
            }
            Err(error) => tracing::warn!(reason = error.reason(), "no sweep for orphans: {error}"),
        }
    }
}

/// Everybody who lives, as the API server has it.
async fn census(operator: &Operator, namespace: Option<&str>) -> Result<(Census, Vec<Arc<HelixPlatform>>), CallError> {
    let api: Api<HelixPlatform> = match namespace {
        Some(namespace) => Api::namespaced(operator.client.clone(), namespace),
        None => Api::all(operator.client.clone()),
    };
    let all = call("list the platforms", api.list(&ListParams::default())).await?.items;
    let living = all.iter().filter_map(|platform| platform.uid()).collect();
    let namespaces: BTreeSet<String> = all.iter().filter_map(|platform| platform.namespace()).collect();
    Ok((Census { living, namespaces }, all.into_iter().map(Arc::new).collect()))
}

/// The platforms by their projects. One whose token cannot be had is told by its own passes.
async fn projects(operator: &Operator, platforms: Vec<Arc<HelixPlatform>>) -> Vec<Shared> {
    let mut shared: Vec<Shared> = Vec::new();
    for platform in platforms {
        let Some(project) = project_of(operator, &platform).await else { continue };
        match shared.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &project)) {
            Some((_, platforms)) => platforms.push(platform),
            None => shared.push((project, vec![platform])),
        }
    }
    shared
}

async fn one(operator: &Operator, (project, platforms): &Shared, census: &Census, mode: SweepMode) {
    let now = operator.clock.now();
    let mut sweeper = project.sweeper.lock().await;
    let swept = sweeper.sweep(&project.project, operator.store(), census, mode, now).await;
    let swept = match swept {
        Ok(swept) => swept,
        Err(error @ (CloudError::BudgetExhausted { .. } | CloudError::RateLimited { .. })) => {
            return tracing::debug!(reason = error.reason(), "the sweep for orphans waits: {error}");
        }
        Err(error) => return tracing::warn!(reason = error.reason(), "no sweep for orphans: {error}"),
    };
    let Some(platform) = platforms.first() else { return };
    let ProviderSpec::Hetzner(hetzner) = &platform.spec.provider;
    let token = TokenLabels {
        namespace: platform.namespace().unwrap_or_default(),
        secret: hetzner.token_secret_ref.name.clone(),
    };
    operator.metrics.orphans(&token, swept.found.iter().map(|found| found.orphan.left()).sum());
    let news = told(&swept, mode);
    for one in &news {
        tracing::warn!(reason = one.reason, "{}", one.message);
    }
    for platform in platforms {
        // Sweeps are as far apart as repetitions may be.
        events::publish(&operator.recorder, platform, &mut Said::default(), news.clone(), now).await;
    }
}

fn told(swept: &Swept, mode: SweepMode) -> Vec<News> {
    let news = |reason: &str, message: String| News { reason: reason.to_owned(), message, warning: true };
    let orphan = |found: &Found| {
        let further = match (&found.proved, mode) {
            (None, _) => {
                "It may be another Helix' with another management cluster: if it is nobody's, delete it at the provider"
            }
            (Some(_), SweepMode::Report) => {
                "It was made from here: delete it at the provider, or run the operator with --sweep=delete"
            }
            (Some(_), SweepMode::Delete) => {
                "It was made from here and is being deleted, but for volumes and load balancers, which are yours to judge"
            }
        };
        news(
            "OrphansFound",
            format!("the project holds what is left of a platform that is gone: {}. {further}", found.orphan),
        )
    };
    let deleted = (!swept.deleted.is_empty()).then(|| news("OrphansDeleted", swept.deleted.join(", ")));
    let failed = (!swept.failed.is_empty()).then(|| news("OrphansNotDeleted", swept.failed.join("; ")));
    swept.found.iter().map(orphan).chain(deleted).chain(failed).collect()
}

#[cfg(test)]
mod tests {
    use helix_plan::step::ResourceKind;
    use helix_plan::sweep::Orphan;
    use jiff::Timestamp;

    use super::*;

    fn found(proved: bool) -> Found {
        let resources = vec![(ResourceKind::Server, 7, "dev-cp-0".to_owned())];
        let (uid, platform) = ("u1".to_owned(), "dev".to_owned());
        let orphan = Orphan { uid, platform, resources, names: Vec::new(), oldest: None };
        let proved = proved.then(|| orphan.identity("helix-system"));
        Found { orphan, since: Timestamp::UNIX_EPOCH, proved }
    }

    #[test]
    fn an_orphan_is_told_with_what_can_be_done_about_it() {
        let told = |proved: bool, mode: SweepMode| {
            let swept = Swept { found: vec![found(proved)], ..Swept::default() };
            let news = told(&swept, mode);
            assert_eq!((news.len(), news[0].reason.as_str()), (1, "OrphansFound"));
            news[0].message.clone()
        };
        assert!(told(true, SweepMode::Report).contains("platform dev (u1): server dev-cp-0"));
        assert!(told(true, SweepMode::Report).contains("--sweep=delete"));
        assert!(told(false, SweepMode::Delete).contains("may be another Helix'"));
        assert!(told(true, SweepMode::Delete).contains("is being deleted"));
    }

    #[test]
    fn a_sweep_that_finds_nothing_says_nothing() {
        assert!(told(&Swept::default(), SweepMode::Delete).is_empty());
    }
}

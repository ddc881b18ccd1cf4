//! One pass over one platform: token, finalizer, a turn of the engine, and telling what came of it.
//!
//! # Expected flow
//! The controller calls [`reconcile`] when somebody changed the platform, when the engine wants to look again, and after
//! a failure; never twice at the same time for one platform.
//!
//! # Guarantees
//! Nothing is made before the finalizer is there, and it goes only when the engine says that nothing is left. The
//! status is written once at most. A pass that is cut off anywhere is made good by the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use helix_clients::hetzner::Connection;
use helix_clients::kube::{TokenError, intents, read_token};
use helix_crds::{HelixMachine, HelixPlatform, HelixPlatformStatus, ProviderSpec};
use helix_engine::turn::{self, Turn};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::controller::Action;
use tracing::Instrument as _;

use crate::error::CallError;
use crate::events::{self, News};
use crate::kept::{Past, Place};
use crate::metrics::PlatformLabels;
use crate::operator::Operator;
use crate::projects::SharedProject;
use crate::{finalizer, machines, status};

/// How soon a token that could not be had is looked for again. It is asked for by name: no list or watch of Secrets is
/// needed, so the operator's role has none.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// One pass; says when the next one is due.
pub(crate) async fn reconcile(platform: Arc<HelixPlatform>, operator: Arc<Operator>) -> Result<Action, CallError> {
    let labels = labels(&platform);
    let uid = platform.uid().unwrap_or_default();
    let (place, new) = operator.places.of(&uid);
    if new {
        operator.places.retain(|uid| operator.exists(uid));
    }
    let mut past = place.past.lock().await;
    past.passes += 1;
    let span = tracing::info_span!(
        "pass",
        platform = format_args!("{}/{}", labels.namespace, labels.platform),
        pass = past.passes
    );
    let begun = Instant::now();
    let outcome = pass(&operator, &labels, &mut past, platform).boxed().instrument(span).await;
    operator.metrics.passed(begun.elapsed());
    match outcome {
        Ok(next) => {
            place.succeeded();
            Ok(next)
        }
        // Somebody has removed the finalizer by hand: there is nobody left to tell. Where the watch still shows the
        // platform, something else is missing, such as a resource definition.
        Err(error) if error.is_absent() && !operator.exists(&uid) => Ok(forget(&operator, &labels, &uid)),
        Err(error) => Err(error),
    }
}

/// When to try again after a pass that was cut short.
pub(crate) fn after_failure(platform: &HelixPlatform, error: &CallError, operator: &Operator) -> Action {
    operator.metrics.failed(error.reason());
    let place: Arc<Place> = operator.places.of(&platform.uid().unwrap_or_default()).0;
    let pause = place.failed();
    let labels = labels(platform);
    let name = format_args!("{}/{}", labels.namespace, labels.platform);
    // Somebody else has changed the platform meanwhile: nothing is wrong, the next pass takes the newer one.
    if error.is_conflict() {
        tracing::debug!(platform = %name, "the pass starts over: {error}");
    } else {
        tracing::warn!(platform = %name, reason = error.reason(), ?pause, "the pass was cut short: {error}");
    }
    Action::requeue(pause)
}

fn labels(platform: &HelixPlatform) -> PlatformLabels {
    PlatformLabels { namespace: platform.namespace().unwrap_or_default(), platform: platform.name_any() }
}

fn forget(operator: &Operator, labels: &PlatformLabels, uid: &str) -> Action {
    operator.places.forget(uid);
    operator.metrics.forget(labels);
    Action::await_change()
}

async fn pass(
    operator: &Operator,
    labels: &PlatformLabels,
    past: &mut Past,
    watched: Arc<HelixPlatform>,
) -> Result<Action, CallError> {
    let platform = past.newest(watched);
    let deleting = platform.metadata.deletion_timestamp.is_some();
    if deleting && !finalizer::is_set(&platform) {
        return Ok(forget(operator, labels, &platform.uid().unwrap_or_default()));
    }
    let project = match connect(operator, labels, &platform).await {
        Ok(project) => project,
        Err(refusal) => {
            let now = operator.clock.now();
            let status = turn::refused(&platform, refusal.reason, &refusal.message, now);
            tell(operator, labels, past, &platform, &status, Vec::new()).await?;
            return Ok(Action::requeue(ASK_AGAIN));
        }
    };
    let _permit = project.permit().await;
    let platform = with_finalizer(operator, labels, past, platform).await?;
    operator.machines_are_listed().await;
    let machines = operator.machines_of(&labels.namespace, &labels.platform);
    let intents = intents(&platform.uid().unwrap_or_default(), machines.iter().map(Arc::as_ref));
    if past.is_asked_anew(&platform, &intents) {
        past.memory.look_now();
    }
    past.project = Some(Arc::clone(&project));
    let seams = operator.seams(&project.project);
    let turn = turn::turn(&seams, &platform, &intents, &mut past.memory).boxed().await;
    record(operator, labels, &platform, &project, &turn);
    conclude(operator, labels, past, &platform, turn).await
}

/// Tells what came of a turn, and ends the platform's life when nothing of it is left.
async fn conclude(
    operator: &Operator,
    labels: &PlatformLabels,
    past: &mut Past,
    platform: &Arc<HelixPlatform>,
    turn: Turn,
) -> Result<Action, CallError> {
    let news = turn.events.into_iter().map(News::from).collect();
    let platform = tell(operator, labels, past, platform, &turn.status, news).await?;
    if let Some(wanted) = &turn.machines {
        let api: Api<HelixMachine> = Api::namespaced(operator.client.clone(), &labels.namespace);
        let found = operator.machines_of(&labels.namespace, &labels.platform);
        machines::project(&api, &platform, wanted, &found).await?;
    }
    if turn.gone {
        // After the receipt: whoever sees the platform gone can read what was deleted.
        finalizer::remove(&platforms(operator, labels), &platform).await?;
        tracing::info!("nothing of the platform is left");
        return Ok(forget(operator, labels, &platform.uid().unwrap_or_default()));
    }
    Ok(Action::requeue(until(turn.look_again_at, operator.clock.now())))
}

/// Publishes what happened and writes the status if it says something new. Answers with the platform as it then is.
async fn tell(
    operator: &Operator,
    labels: &PlatformLabels,
    past: &mut Past,
    platform: &Arc<HelixPlatform>,
    status: &HelixPlatformStatus,
    mut news: Vec<News>,
) -> Result<Arc<HelixPlatform>, CallError> {
    let now = operator.clock.now();
    operator.metrics.platform(labels, status);
    let changes = events::of_change(platform.status.as_ref(), status);
    for change in &changes {
        tracing::info!(reason = change.reason, "{}", change.message);
    }
    news.extend(changes);
    events::publish(&operator.recorder, platform, &mut past.said, news, now).await;
    if !status::is_due(platform.status.as_ref(), status, past.status_written, now) {
        return Ok(Arc::clone(platform));
    }
    let written = status::write(&platforms(operator, labels), platform, status).await?;
    past.status_written = Some(now);
    Ok(remember(past, written))
}

/// The platform with the finalizer. A paused one is left as it is, for nothing is made for it.
async fn with_finalizer(
    operator: &Operator,
    labels: &PlatformLabels,
    past: &mut Past,
    platform: Arc<HelixPlatform>,
) -> Result<Arc<HelixPlatform>, CallError> {
    let deleting = platform.metadata.deletion_timestamp.is_some();
    if deleting || platform.spec.paused || finalizer::is_set(&platform) {
        return Ok(platform);
    }
    let written = finalizer::add(&platforms(operator, labels), &platform).await?;
    Ok(remember(past, written))
}

fn remember(past: &mut Past, mut written: HelixPlatform) -> Arc<HelixPlatform> {
    written.metadata.managed_fields = None;
    let written = Arc::new(written);
    past.written = Some(Arc::clone(&written));
    written
}

/// Why there is no project to work in.
struct Refusal {
    reason: &'static str,
    message: String,
}

async fn connect(
    operator: &Operator,
    labels: &PlatformLabels,
    platform: &HelixPlatform,
) -> Result<Arc<SharedProject>, Refusal> {
    let refusal = |reason, message: String| match platform.metadata.deletion_timestamp {
        None => Refusal { reason, message },
        // Without the token nothing at the provider can be deleted, and to let go of the platform would leak it all.
        Some(_) => Refusal { reason, message: format!("{message}. The deletion goes on as soon as there is a token") },
    };
    let ProviderSpec::Hetzner(hetzner) = &platform.spec.provider;
    let token = read_token(&operator.client, &labels.namespace, &hetzner.token_secret_ref)
        .await
        .map_err(|error: TokenError| refusal(error.reason(), error.to_string()))?;
    operator
        .projects
        .connect(&Connection { endpoint: hetzner.endpoint.clone(), token })
        .map_err(|error| refusal(error.reason(), error.to_string()))
}

/// The project that a platform lives in, if its token can be had.
pub(crate) async fn project_of(operator: &Operator, platform: &HelixPlatform) -> Option<Arc<SharedProject>> {
    connect(operator, &labels(platform), platform).await.ok()
}

fn record(
    operator: &Operator,
    labels: &PlatformLabels,
    platform: &HelixPlatform,
    project: &SharedProject,
    turn: &Turn,
) {
    operator.metrics.stepped(&turn.steps);
    let ProviderSpec::Hetzner(hetzner) = &platform.spec.provider;
    let budget = project.project.cloud().budget(operator.clock.now());
    operator.metrics.budget(&labels.namespace, &hetzner.token_secret_ref.name, budget);
}

fn platforms(operator: &Operator, labels: &PlatformLabels) -> Api<HelixPlatform> {
    Api::namespaced(operator.client.clone(), &labels.namespace)
}

/// From now until then; at once where that has passed.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

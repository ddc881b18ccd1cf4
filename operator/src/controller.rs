//! The watches, and what of them causes a pass.
//!
//! A platform gets a pass when its generation, annotations or deletion change: its status, its finalizers and its
//! managed fields are this operator's own writing, and no news. A `HelixMachine` causes a pass of its platform when it is
//! gone, and when somebody deletes or annotates it.

use std::collections::HashMap;
use std::future::{Future, pending, ready};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use helix_crds::{HelixMachine, HelixPlatform};
use kube::api::Api;
use kube::runtime::controller::{Config, Controller, Error};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, reflector};
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::error::StartError;
use crate::kept::{machine_request, request};
use crate::machines::let_go;
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::options::Options;
use crate::orphans;
use crate::pass::{after_failure, reconcile};
use crate::server::{Readiness, Stage};

/// How often machines without a platform are looked for.
const FORSAKEN_EVERY: Duration = Duration::from_secs(60);

/// Looks after all platforms until it is told to stop, and then until the passes under way are over.
pub(crate) fn run(
    client: Client,
    options: &Options,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + use<>, StartError> {
    let (platforms, platforms_writer) = reflector::store();
    let (machines, machines_writer) = reflector::store();
    let namespace = options.namespace.as_deref();
    let (swept, sweep_mode) = (options.namespace.clone(), options.sweep.into());
    let changed_platforms = watch::<HelixPlatform>(&client, namespace)
        .reflect(platforms_writer)
        .applied_objects()
        .predicate_filter(|platform: &HelixPlatform| Some(request(platform)), PredicateConfig::default());
    let mut asked = HashMap::new();
    let asking_machines = watch::<HelixMachine>(&client, namespace)
        .reflect(machines_writer)
        .filter_map(move |event| ready(news(&mut asked, event)));
    let stores = (platforms.clone(), machines.clone());
    let operator = Operator::new(client, options, metrics, stores)?;
    let operator = Arc::new(operator);
    let sweeping = Arc::clone(&operator);
    let sweeps = async move { orphans::sweep(&sweeping, swept.as_deref(), sweep_mode).await };
    let passes = Controller::for_stream(changed_platforms, platforms.clone())
        .owns_stream(asking_machines)
        .with_config(Config::default().concurrency(options.concurrency))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |platform, error, operator| after_failure(&platform, error, &operator), Arc::clone(&operator))
        .for_each(|outcome| {
            if let Err(error) = outcome {
                trouble(&error);
            }
            ready(())
        });
    let listed = async move {
        // Both end early only when the passes do.
        if platforms.wait_until_ready().await.is_ok() && machines.wait_until_ready().await.is_ok() {
            readiness.reached(Stage::Working);
            tracing::info!(platforms = platforms.len(), machines = machines.len(), "the resources are listed");
            let_go_of_the_forsaken(&operator).await;
        }
        // Only the passes' end ends this.
        pending().await
    };
    // Boxed, because it holds all that the watches hold.
    Ok(Box::pin(async move {
        tokio::select! {
            () = passes => {}
            () = listed => {}
            () = sweeps => {}
        }
    }))
}

/// The machine of an event, if a pass has to hear of it. `asked` holds, by UID, what was asked of each before.
fn news(
    asked: &mut HashMap<String, u64>,
    event: watcher::Result<Event<HelixMachine>>,
) -> Option<watcher::Result<HelixMachine>> {
    match event {
        Ok(Event::Apply(machine) | Event::InitApply(machine)) => {
            let asks = machine_request(&machine);
            let before = asked.insert(machine.uid().unwrap_or_default(), asks);
            // One that is new asks for nothing yet, or is seen by the platform's own first pass.
            before.is_some_and(|before| before != asks).then_some(Ok(machine))
        }
        Ok(Event::Delete(machine)) => {
            asked.remove(&machine.uid().unwrap_or_default());
            Some(Ok(machine))
        }
        Ok(Event::Init | Event::InitDone) => None,
        Err(error) => Some(Err(error)),
    }
}

/// Looks now and then for machines whose platform was removed by force: else their finalizer would keep them for ever.
async fn let_go_of_the_forsaken(operator: &Operator) {
    loop {
        for machine in operator.forsaken_machines() {
            let name = machine.name_any();
            let api: Api<HelixMachine> =
                Api::namespaced(operator.client.clone(), &machine.namespace().unwrap_or_default());
            match let_go(&api, &machine).await {
                Ok(()) => tracing::info!(machine = name, "let go: its platform is gone"),
                Err(error) => tracing::warn!(machine = name, reason = error.reason(), "not let go: {error}"),
            }
        }
        tokio::time::sleep(FORSAKEN_EVERY).await;
    }
}

fn watch<K>(client: &Client, namespace: Option<&str>) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    // Who manages which field is of no use here, and is half of an object's size.
    watcher(api, watcher::Config::default()).default_backoff().modify(|object| object.managed_fields_mut().clear())
}

/// What the controller itself meets. Passes that were cut short have been told already.
fn trouble(error: &Error<crate::error::CallError, watcher::Error>) {
    match error {
        Error::ReconcilerFailed(..) => {}
        Error::ObjectNotFound(platform) => tracing::debug!(%platform, "gone before its pass"),
        Error::QueueError(error) => tracing::warn!("the management cluster cannot be watched: {error}"),
        Error::RunnerError(error) => tracing::error!("a pass could not be run: {error}"),
    }
}

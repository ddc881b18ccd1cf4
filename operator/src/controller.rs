//! The watches, and what of them causes a pass.
//!
//! A platform gets a pass when its generation, annotations or deletion change: its status, its finalizers and its
//! managed fields are this operator's own writing, and no news. A `HelixMachine` causes a pass of its platform only when
//! it is deleted.

use std::future::{Future, ready};
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use helix_crds::{HelixMachine, HelixPlatform};
use kube::api::Api;
use kube::runtime::controller::{Config, Controller, Error};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{PredicateConfig, WatchStreamExt as _, reflector};
use kube::{Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::kept::request;
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::options::Options;
use crate::pass::{after_failure, reconcile};
use crate::server::{Readiness, Stage};

/// Looks after all platforms until it is told to stop, and then until the passes under way are over.
pub(crate) fn run(
    client: Client,
    options: &Options,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (platforms, platforms_writer) = reflector::store();
    let (machines, machines_writer) = reflector::store();
    let namespace = options.namespace.as_deref();
    let changed_platforms = watch::<HelixPlatform>(&client, namespace)
        .reflect(platforms_writer)
        .applied_objects()
        .predicate_filter(|platform: &HelixPlatform| Some(request(platform)), PredicateConfig::default());
    let deleted_machines = watch::<HelixMachine>(&client, namespace).reflect(machines_writer).filter_map(|event| {
        ready(match event {
            Ok(Event::Delete(machine)) => Some(Ok(machine)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    });
    let stores = (platforms.clone(), machines.clone());
    let operator = Arc::new(Operator::new(client, &options.identity, options.concurrency_per_token, metrics, stores));
    let passes = Controller::for_stream(changed_platforms, platforms.clone())
        .owns_stream(deleted_machines)
        .with_config(Config::default().concurrency(options.concurrency))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, |platform, error, operator| after_failure(&platform, error, &operator), operator)
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
        }
    };
    async move {
        tokio::join!(passes, listed);
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

//! What Argo CD's application controller and repo server do, as far as a platform shows it: while their workloads run,
//! Applications are compared with what Git has, synced as they say, healed, pruned and told of.
//!
//! Like the real one it applies wave by wave, takes over fields that others have set (`force`), marks what it has
//! applied by a tracking id, and leaves alone what says so. Left out: projects (a test holds them against the real
//! program), hooks, sources other than directories of manifests, and clusters other than its own.

mod compare;
mod health;
mod kinds;
mod source;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use self::compare::{Live, covers};
use self::kinds::{Key, Kinds};
use self::source::{Source, SourceError};
use self::status::{Attempt, Compared, Seen};
use super::Setting;
use super::api::{Api, ApiError, Body};
use super::control_plane::admin;
use super::files::Site;
use crate::world::ServerId;
use crate::world::machine::Guest;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(3);
const CONTROLLER: &str = "/apis/apps/v1/namespaces/argocd/statefulsets/argocd-application-controller";
const REPO_SERVER: &str = "/apis/apps/v1/namespaces/argocd/deployments/argocd-repo-server";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
/// Who applies.
const MANAGER: &str = "argocd-controller";
/// What it marks its own by.
const TRACKING: &str = "argocd.argoproj.io/tracking-id";
/// Where an object says how it is to be treated.
const OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// By which somebody asks for a look.
const REFRESH: &str = "argocd.argoproj.io/refresh";
/// In which turn it is applied.
const WAVE: &str = "argocd.argoproj.io/sync-wave";
/// By which an Application is kept until its objects are gone.
const FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// How long an Application that is well is left alone, and one that is only shown.
const SETTLED: Duration = Duration::from_secs(15);
const SHOWN: Duration = Duration::from_secs(60);
/// How soon a sync that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Whether the Application of a name degrades, whatever its objects say.
type Degraded = dyn Fn(&str) -> bool + Send + Sync;

/// Stands for the controller, of which there is one, through the API server of this control plane, as long as it is the
/// first of its cluster's.
pub(super) async fn watch(setting: Setting, server: ServerId, site: Site) {
    let mut argo_cd = ArgoCd::new(setting.root.join("argo-cd"));
    let machines = setting.machines.clone();
    let degrades = move |name: &str| machines.with_world(|world, _| world.faults().is_application_degraded(name));
    loop {
        sleep(INTERVAL).await;
        let serving = setting.machines.control_planes(server, Guest::api_server_healthy);
        if serving.first().is_some_and(|first| first.server == server)
            && let Ok(api) = admin(&site, &site)
            && let Err(error) = argo_cd.look(&api, &degrades).await
        {
            tracing::debug!(%error, "syncing Applications");
        }
    }
}

/// What the controller remembers between two looks.
struct ArgoCd {
    sources: Source,
    kinds: Kinds,
    live: Live,
    /// When a sync of an Application failed last.
    failed: BTreeMap<String, Instant>,
    /// Applications that were well, as they were: commit and specification, and until when that is believed.
    settled: BTreeMap<String, (String, Value, Instant)>,
}

/// An object as Git has it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    key: Key,
    object: Value,
}

impl ArgoCd {
    /// Keeps what it fetches in `directory`.
    fn new(directory: PathBuf) -> Self {
        let (kinds, live) = (Kinds::default(), Live::default());
        Self { sources: Source::new(directory), kinds, live, failed: BTreeMap::new(), settled: BTreeMap::new() }
    }

    /// One look at all Applications, in the order of their waves.
    async fn look(&mut self, api: &Api, degraded: &Degraded) -> Result<(), ApiError> {
        if !runs(api, CONTROLLER, "readyReplicas").await? || !runs(api, REPO_SERVER, "availableReplicas").await? {
            return Ok(());
        }
        let list = match api.call(Method::GET, APPLICATIONS, Body::Empty).await {
            Err(error) if error.is(StatusCode::NOT_FOUND) => return Ok(()),
            other => other?,
        };
        let mut applications: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
        applications.sort_by_key(|application| (wave(application), name(application).to_owned()));
        self.live.forget();
        self.sources.forget();
        for application in &applications {
            let asked = annotation(application, REFRESH).is_some();
            if asked || !self.is_settled(application, degraded).await {
                self.reconcile(api, application, degraded).await?;
            }
            if asked {
                patch(api, application, &json!({"metadata": {"annotations": {REFRESH: null}}})).await?;
            }
        }
        Ok(())
    }

    /// Whether nothing is to be expected of another look yet. The real controller watches; this one looks seldom.
    async fn is_settled(&mut self, application: &Value, degraded: &Degraded) -> bool {
        let leaving = application.pointer("/metadata/deletionTimestamp").is_some();
        let Some((revision, spec, until)) = self.settled.get(name(application)).filter(|_| !leaving) else {
            return false;
        };
        let same = *spec == application["spec"] && *until > Instant::now() && !degraded(name(application));
        let revision = revision.clone();
        same && self.sources.head(&application["spec"]["source"]).await.is_ok_and(|head| head == revision)
    }

    /// Takes note of how an Application stands.
    fn note(&mut self, application: &Value, revision: &str, status: &Value) {
        let automated = application.pointer("/spec/syncPolicy/automated").is_some();
        let well = status["sync"]["status"] == "Synced" && status["health"]["status"] == "Healthy";
        match (automated, well) {
            (true, false) => self.settled.remove(name(application)),
            _ => {
                let until = Instant::now() + if automated { SETTLED } else { SHOWN };
                let seen = (revision.to_owned(), application["spec"].clone(), until);
                self.settled.insert(name(application).to_owned(), seen)
            }
        };
    }

    async fn reconcile(&mut self, api: &Api, application: &Value, degraded: &Degraded) -> Result<(), ApiError> {
        if application.pointer("/metadata/deletionTimestamp").is_some() {
            return self.end(api, application).await;
        }
        let (revision, wanted) = match self.sources.manifests(&application["spec"]["source"]).await {
            Ok(found) => found,
            Err(error) => return tell(api, application, status::without_source(application, &error)).await,
        };
        let namespace = application.pointer("/spec/destination/namespace").and_then(Value::as_str).unwrap_or("default");
        let wanted = match self.keyed(api, namespace, wanted).await? {
            Ok(wanted) => wanted,
            Err(error) => return tell(api, application, status::without_source(application, &error)).await,
        };
        let mut compared = self.compare(api, application, &wanted).await?;
        let mut attempt = None;
        let differs = compared.iter().any(|seen| seen.differs || seen.is_to_go());
        if differs && self.may_sync(application, &revision) {
            let failure = self.sync(api, application, &wanted, &compared).await?;
            match failure {
                Some(_) => self.failed.insert(name(application).to_owned(), Instant::now()),
                None => self.failed.remove(name(application)),
            };
            self.live.forget();
            compared = self.compare(api, application, &wanted).await?;
            attempt = Some(Attempt { failure });
        }
        let of = Compared { revision: &revision, seen: &compared, is_degraded: degraded(name(application)) };
        let status = status::status(application, &of, attempt.as_ref());
        self.note(application, &revision, &status);
        tell(api, application, status).await
    }

    /// Finds where each object belongs. A kind that the cluster does not know fails at its turn, not here.
    async fn keyed(
        &mut self,
        api: &Api,
        namespace: &str,
        objects: Vec<Value>,
    ) -> Result<Result<Vec<Wanted>, SourceError>, ApiError> {
        let mut wanted = Vec::new();
        let mut keys = BTreeSet::new();
        for object in objects {
            let Some(key) = self.kinds.key(api, namespace, &object).await? else {
                return Ok(Err(SourceError::NoObject));
            };
            if !keys.insert(key.clone()) {
                return Ok(Err(SourceError::Twice(key.to_string())));
            }
            wanted.push(Wanted { key, object });
        }
        Ok(Ok(wanted))
    }

    fn may_sync(&self, application: &Value, revision: &str) -> bool {
        let Some(automated) = application.pointer("/spec/syncPolicy/automated") else { return false };
        if automated["enabled"] == false {
            return false;
        }
        let rests = self.failed.get(name(application)).is_some_and(|failed| failed.elapsed() < RETRY);
        let done = application.pointer("/status/operationState");
        let synced = done.is_some_and(|it| it["phase"] == "Succeeded" && it["syncResult"]["revision"] == revision);
        !rests && (!synced || automated["selfHeal"] == true)
    }

    async fn compare(&mut self, api: &Api, application: &Value, wanted: &[Wanted]) -> Result<Vec<Seen>, ApiError> {
        let mut compared = Vec::new();
        for Wanted { key, object } in wanted {
            let tracked = tracked(application, key, object);
            let live = self.live.get(api, key).await?;
            let differs = live.as_ref().is_none_or(|live| !covers(live, &tracked) && !self.live.is_as_applied(live));
            let waits = wave(object);
            compared.push(Seen { key: key.clone(), live, differs, surplus: false, wave: waits });
        }
        let keys: BTreeSet<&Key> = wanted.iter().map(|wanted| &wanted.key).collect();
        let earlier = application.pointer("/status/resources").and_then(Value::as_array);
        for key in earlier.into_iter().flatten().filter_map(|told| self.kinds.told(told)) {
            if keys.contains(&key) {
                continue;
            }
            let Some(live) = self.live.get(api, &key).await? else { continue };
            if is_tracked(application, &live) {
                compared.push(Seen { key, live: Some(live), differs: false, surplus: true, wave: 0 });
            }
        }
        Ok(compared)
    }

    /// Applies what differs, wave by wave and kind by kind, and prunes what is too much. Tells what went wrong.
    async fn sync(
        &mut self,
        api: &Api,
        application: &Value,
        wanted: &[Wanted],
        compared: &[Seen],
    ) -> Result<Option<String>, ApiError> {
        let mut ordered: Vec<&Wanted> =
            wanted.iter().zip(compared).filter(|(_, seen)| seen.differs).map(|(wanted, _)| wanted).collect();
        ordered.sort_by_key(|it| (wave(&it.object), kinds::turn(&it.key.kind), it.key.clone()));
        for Wanted { key, object } in ordered {
            let Some(path) = self.kinds.path(api, key).await? else {
                return Ok(Some(format!("the cluster does not know the kind {}", key.kind)));
            };
            let path = format!("{path}?fieldManager={MANAGER}&force=true");
            let tracked = tracked(application, key, object);
            match api.call(Method::PATCH, &path, Body::Apply(&tracked)).await {
                Ok(applied) => self.live.applied(&applied),
                Err(error @ ApiError::Unreachable { .. }) => return Err(error),
                Err(ApiError::Refused { message, .. }) => return Ok(Some(format!("{key}: {message}"))),
            }
        }
        if application.pointer("/spec/syncPolicy/automated/prune") == Some(&Value::Bool(true)) {
            for seen in compared.iter().filter(|seen| seen.is_to_go()) {
                self.delete(api, &seen.key).await?;
            }
        }
        Ok(None)
    }

    /// Lets the objects of an Application go with it, if it says so.
    async fn end(&mut self, api: &Api, application: &Value) -> Result<(), ApiError> {
        let finalizers = application.pointer("/metadata/finalizers").and_then(Value::as_array).cloned();
        let finalizers = finalizers.unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        let told = application.pointer("/status/resources").and_then(Value::as_array).cloned().unwrap_or_default();
        for key in told.iter().filter_map(|told| self.kinds.told(told)).collect::<Vec<_>>() {
            let live = self.live.get(api, &key).await?;
            if live.is_some_and(|live| is_tracked(application, &live) && !has_option(&live, "Delete=false")) {
                self.delete(api, &key).await?;
            }
        }
        let left: Vec<Value> = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
        patch(api, application, &json!({"metadata": {"finalizers": left}})).await
    }

    async fn delete(&mut self, api: &Api, key: &Key) -> Result<(), ApiError> {
        let Some(path) = self.kinds.path(api, key).await? else { return Ok(()) };
        match api.call(Method::DELETE, &path, Body::Empty).await {
            Err(error) if !error.is(StatusCode::NOT_FOUND) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

async fn runs(api: &Api, path: &str, replicas: &str) -> Result<bool, ApiError> {
    match api.call(Method::GET, path, Body::Empty).await {
        Ok(workload) => Ok(workload["status"][replicas].as_u64().unwrap_or_default() > 0),
        Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a status, unless it is what is there already: each write is news for whoever watches.
async fn tell(api: &Api, application: &Value, status: Value) -> Result<(), ApiError> {
    let old = &application["status"];
    let fresh = |key: &str| status[key] == old[key] || (key == "reconciledAt" && !old[key].is_null());
    let same = status.as_object().is_some_and(|status| status.keys().all(|key| fresh(key)));
    if same { Ok(()) } else { patch(api, application, &json!({"status": status})).await }
}

async fn patch(api: &Api, application: &Value, patch: &Value) -> Result<(), ApiError> {
    let path = format!("{APPLICATIONS}/{}", name(application));
    match api.call(Method::PATCH, &path, Body::Merge(patch)).await {
        Err(error) if !error.is(StatusCode::CONFLICT) && !error.is(StatusCode::NOT_FOUND) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn annotation<'a>(object: &'a Value, annotation: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(annotation)?.as_str()
}

fn wave(object: &Value) -> i64 {
    annotation(object, WAVE).and_then(|wave| wave.parse().ok()).unwrap_or_default()
}

fn has_option(object: &Value, option: &str) -> bool {
    annotation(object, OPTIONS).is_some_and(|options| options.split(',').any(|found| found.trim() == option))
}

fn tracking_id(application: &Value, key: &Key) -> String {
    format!("{}:{}/{}:{}/{}", name(application), key.group, key.kind, key.namespace, key.name)
}

/// The object as it is applied: with the mark of who did it, and in its namespace.
fn tracked(application: &Value, key: &Key, object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["annotations"][TRACKING] = json!(tracking_id(application, key));
    if !key.namespace.is_empty() {
        object["metadata"]["namespace"] = json!(key.namespace);
    }
    object
}

fn is_tracked(application: &Value, live: &Value) -> bool {
    annotation(live, TRACKING).is_some_and(|id| id.split(':').next() == Some(name(application)))
}

//! Who is asked how a platform is: everybody at once, each for a bounded time, and each answers for the own badges alone.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use helix_clients::grafana::Grafana;
use helix_clients::kube::{SuiteFacts, TokenError, client_of, read_token, suite, warnings};
use helix_clients::mirrors::Mirrors;
use helix_clients::netbird::Netbird;
use helix_clients::prometheus::Prometheus;
use helix_crds::{HelixPlatform, SecretKeyRef};
use helix_plan::badges::{self, Incident, Phase, ROWS, Reading, Source};
use helix_plan::secrets::Secret;
use helix_plan::validated::MeshAccount;
use jiff::Timestamp;

use super::reports;
use crate::arguments::{BadgesArguments, ClusterArguments};
use crate::error::CliError;
use crate::live::Management;
use crate::output;

/// How long the cluster of a platform, or that of its resource, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key under which the operator keeps a kubeconfig in its Secret.
const KUBECONFIG_KEY: &str = "value";

type Readings = Vec<(&'static str, Reading)>;

/// Who is to be asked.
pub(super) struct Asked<'a> {
    name: Option<&'a str>,
    cluster: &'a ClusterArguments,
    kubeconfig: Option<&'a Path>,
    mirrors: Mirrors,
    prometheus: Option<Prometheus>,
    grafana: Option<Grafana>,
    reports: Option<&'a PathBuf>,
}

/// What they said.
pub(super) struct Found {
    /// The platform's namespace; that of the arguments where the cluster could not be asked.
    pub(super) namespace: String,
    /// By slug.
    pub(super) readings: BTreeMap<&'static str, Reading>,
    /// None where they could not be observed.
    pub(super) phases: Vec<Phase>,
    /// Warnings, or why they could not be read.
    pub(super) warnings: Result<Vec<Incident>, String>,
}

impl<'a> Asked<'a> {
    /// Reads the tokens; asks nobody yet.
    pub(super) fn of(arguments: &'a BadgesArguments) -> Result<Self, CliError> {
        let prometheus = arguments.prometheus.as_deref().map(|url| {
            let token = token("HELIX_PROMETHEUS_TOKEN", arguments.prometheus_token_file.as_deref())?;
            Ok::<_, CliError>(Prometheus::new(url, token)?)
        });
        let grafana = arguments.grafana.as_deref().map(|url| {
            let token = token("HELIX_GRAFANA_TOKEN", arguments.grafana_token_file.as_deref())?;
            Ok::<_, CliError>(Grafana::new(url, token)?)
        });
        Ok(Self {
            name: arguments.name.as_deref(),
            cluster: &arguments.cluster,
            kubeconfig: arguments.workload_kubeconfig.as_deref(),
            mirrors: arguments.mirror.iter().cloned().collect(),
            prometheus: prometheus.transpose()?,
            grafana: grafana.transpose()?,
            reports: arguments.reports.as_ref(),
        })
    }
}

/// The file's token, or else the variable's.
fn token(variable: &str, file: Option<&Path>) -> Result<Option<Secret>, CliError> {
    let text = match file {
        Some(path) => Some(output::read(path)?),
        None => std::env::var(variable).ok(),
    };
    let text = text.map(|text| Secret::new(text.trim()));
    match (text, file) {
        (Some(text), Some(path)) if text.expose().is_empty() => Err(CliError::NoToken { path: path.to_owned() }),
        (text, _) => Ok(text.filter(|text| !text.expose().is_empty())),
    }
}

/// Asks everybody at once.
pub(super) async fn look(asked: &Asked<'_>) -> Found {
    let management = match asked.name {
        None => Err(Reading::NotAsked { remedy: "no platform was named".to_owned() }),
        Some(_) => Management::connect(asked.cluster).await.map_err(|error| Reading::failed(error.to_string())),
    };
    let namespace = match &management {
        Ok(management) => management.namespace().to_owned(),
        Err(_) => asked.cluster.namespace.clone().unwrap_or_default(),
    };
    let of = asked.name.filter(|_| !namespace.is_empty()).map(|name| (namespace.as_str(), name));
    let (metrics, dashboards, managed) =
        tokio::join!(prometheus(asked, of), grafana(asked.grafana.as_ref()), managed(asked, management));
    let mut readings: BTreeMap<&'static str, Reading> = metrics.into_iter().collect();
    readings.insert("grafana_dashboards", dashboards);
    readings.extend(match asked.reports {
        Some(directory) => reports::readings(directory),
        None => reports::slugs().map(|slug| (slug, not_asked("--reports DIR"))).collect(),
    });
    if managed.has_no_redis {
        let remedy = "the platform has no Redis (spec.data.redis)".to_owned();
        readings.insert("redis_hit_rate", Reading::NotAsked { remedy });
    }
    readings.extend(managed.readings);
    Found { namespace, readings, phases: managed.phases, warnings: managed.warnings }
}

fn not_asked(argument: &str) -> Reading {
    Reading::NotAsked { remedy: format!("not asked: give {argument}") }
}

fn slugs_of(source: Source) -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter(move |row| row.source == source).map(|row| row.slug)
}

/// Within the time that a cluster is waited for.
async fn in_time<T>(of: &str, call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = || Err(format!("{of} does not answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| late())
}

async fn prometheus(asked: &Asked<'_>, platform: Option<(&str, &str)>) -> Readings {
    let Some(prometheus) = &asked.prometheus else {
        return slugs_of(Source::Prometheus).map(|slug| (slug, not_asked("--prometheus URL"))).collect();
    };
    let readings = slugs_of(Source::Prometheus).map(|slug| async move {
        let Some(query) = badges::query(slug, platform) else {
            return (slug, Reading::NotAsked { remedy: "no platform was named".to_owned() });
        };
        let answer = prometheus.instant(&query).await;
        (slug, answer.map_or_else(|error| Reading::failed(error.to_string()), |answer| badges::of_metrics(&answer)))
    });
    futures::future::join_all(readings).await
}

async fn grafana(grafana: Option<&Grafana>) -> Reading {
    let Some(grafana) = grafana else { return not_asked("--grafana URL") };
    match grafana.dashboards().await {
        Ok(dashboards) => Reading::number(u32::try_from(dashboards).map_or(f64::NAN, f64::from), Timestamp::now()),
        Err(error) => Reading::failed(error.to_string()),
    }
}

/// What is known through the platform's resource.
struct Managed {
    readings: Readings,
    phases: Vec<Phase>,
    warnings: Result<Vec<Incident>, String>,
    has_no_redis: bool,
}

impl Managed {
    /// Nothing, for one reason.
    fn nothing(reading: &Reading) -> Self {
        let sources = [Source::Management, Source::Workload, Source::Netbird];
        let readings = sources.into_iter().flat_map(slugs_of).map(|slug| (slug, reading.clone())).collect();
        let why = match reading {
            Reading::Failed { why } | Reading::NotAsked { remedy: why } => why.clone(),
            Reading::Observed { .. } | Reading::Vanished { .. } => String::new(),
        };
        Self { readings, phases: Vec::new(), warnings: Err(why), has_no_redis: false }
    }
}

async fn managed(asked: &Asked<'_>, management: Result<Management, Reading>) -> Managed {
    let (management, name) = match (management, asked.name) {
        (Ok(management), Some(name)) => (management, name),
        (Err(reading), _) => return Managed::nothing(&reading),
        (Ok(_), None) => return Managed::nothing(&Reading::NotAsked { remedy: "no platform was named".to_owned() }),
    };
    let namespace = management.namespace();
    let platform = async { management.get(namespace, name).await.map_err(|error| error.to_string()) };
    let told = async { warnings(management.client(), namespace, name).await };
    let beyond = async {
        let platform = in_time("the management cluster", platform).await?;
        let (peers, workload) =
            tokio::join!(peers(asked, &management, &platform), workload(asked, &management, &platform));
        Ok::<_, String>((platform, peers, workload))
    };
    let (told, beyond) = tokio::join!(in_time("the management cluster", told), beyond);
    let (platform, peers, workload) = match beyond {
        Ok(beyond) => beyond,
        Err(why) => return Managed { warnings: told, ..Managed::nothing(&Reading::Failed { why }) },
    };
    let mut readings = badges::of_platform(platform.status.as_ref());
    readings.push(("netbird_peers", peers));
    readings.extend(workload);
    let redis = platform.spec.data.as_ref().is_some_and(|data| !data.redis.is_empty());
    let phases = platform.status.as_ref().map(badges::phases).unwrap_or_default();
    Managed { readings, phases, warnings: told, has_no_redis: !redis }
}

async fn peers(asked: &Asked<'_>, management: &Management, platform: &HelixPlatform) -> Reading {
    let Some(netbird) = platform.spec.security_weave.as_ref().and_then(|weave| weave.netbird.as_ref()) else {
        return Reading::NotAsked { remedy: "the platform has no mesh (spec.securityWeave.netbird)".to_owned() };
    };
    let secret = &netbird.api_key_secret_ref;
    let account = MeshAccount { url: netbird.management_url.clone(), token: (secret.name.clone(), secret.key.clone()) };
    let client = Netbird::new(management.client().clone(), asked.mirrors.clone());
    let look = async { client.peers(management.namespace(), &account).await.map_err(|error| error.to_string()) };
    match in_time("NetBird's management service", look).await {
        Ok(peers) => {
            let connected = peers.iter().filter(|peer| peer.connected).count();
            badges::share(connected, peers.len(), Timestamp::now())
        }
        Err(why) => Reading::Failed { why },
    }
}

async fn workload(asked: &Asked<'_>, management: &Management, platform: &HelixPlatform) -> Readings {
    let look = async {
        let kubeconfig = kubeconfig(asked, management, platform).await?;
        let client = client_of(kubeconfig.expose()).await;
        let client = client.map_err(|why| format!("the kubeconfig of the platform's cluster cannot be used: {why}"))?;
        Ok(suite(&client).await)
    };
    // Several lists at once are a large future.
    match Box::pin(in_time("the platform's API server", look)).await {
        Ok(facts) => of_suite(&facts, Timestamp::now()),
        Err(why) => slugs_of(Source::Workload).map(|slug| (slug, Reading::failed(&why))).collect(),
    }
}

/// The file's, or else the one that Helix keeps.
async fn kubeconfig(asked: &Asked<'_>, management: &Management, platform: &HelixPlatform) -> Result<Secret, String> {
    if let Some(path) = asked.kubeconfig {
        return output::read(path).map(Secret::new).map_err(|error| error.to_string());
    }
    let secrets = platform.status.as_ref().and_then(|status| status.secrets.as_ref());
    let name = secrets.and_then(|secrets| secrets.kubeconfig.clone());
    let name = name.ok_or("the platform has no kubeconfig yet: `helix explain` says what it waits for")?;
    let reference = SecretKeyRef { name, key: KUBECONFIG_KEY.to_owned() };
    match read_token(management.client(), management.namespace(), &reference).await {
        Ok(kubeconfig) => Ok(kubeconfig),
        Err(TokenError::NoSecret { namespace, name, .. } | TokenError::NoKey { namespace, name, .. }) => {
            Err(format!("Secret {namespace}/{name} holds no kubeconfig; the operator makes it anew with its next pass"))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn of_suite(facts: &SuiteFacts, now: Timestamp) -> Readings {
    let lacks = |what: &str| Reading::NotAsked { remedy: format!("the platform's cluster has no {what}") };
    let mut readings = match &facts.applications {
        Ok(Some(applications)) => badges::of_applications(applications, now).to_vec(),
        other => {
            let reading = other.as_ref().map_or_else(Reading::failed, |_| lacks("Argo CD"));
            ["argo_syncs", "deploys", "rollbacks"].map(|slug| (slug, reading.clone())).to_vec()
        }
    };
    readings.push(match &facts.databases {
        Ok(Some(databases)) => ("cnpg_status", badges::of_databases(databases, now)),
        other => ("cnpg_status", other.as_ref().map_or_else(Reading::failed, |_| lacks("CloudNativePG"))),
    });
    readings.push(match &facts.volumes {
        Ok(Some(volumes)) => ("longhorn_health", badges::of_volumes(volumes, now)),
        other => ("longhorn_health", other.as_ref().map_or_else(Reading::failed, |_| lacks("Longhorn"))),
    });
    readings
}

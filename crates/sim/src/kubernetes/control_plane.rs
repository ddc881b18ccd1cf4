//! One control plane: its etcd member, API server, controller manager and scheduler as real processes, started when
//! Talos would start them and killed when their machine goes.
//!
//! Expected flow: [`ControlPlane::run`] looks at the machine and the processes every moment, does the next thing that is
//! missing and reports what answers. It never ends; dropping it kills the processes, as a power cut would.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep, timeout};

use super::Setting;
use super::api::{Api, Body};
use super::arguments::{self, Origin};
use super::etcd::Etcd;
use super::files::{self, FilesError, Site};
use super::join;
use super::manifests;
use super::process::{Process, StartError};
use super::programs::Programs;
use crate::talos::machines::cluster_of;
use crate::talos::pki::{Issued, PkiError};
use crate::talos::tls;
use crate::world::ServerId;
use crate::world::machine::config::Cluster;
use crate::world::machine::{EtcdIntent, ProcessReport};

/// Between two looks.
const MOMENT: Duration = Duration::from_millis(250);
/// Between two looks once everything serves.
const STEADY: Duration = Duration::from_secs(1);
/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(2);
/// How long a process that ended is left alone.
const RESTART: Duration = Duration::from_secs(1);
/// How long a report counts before it is repeated.
const REPEAT: Duration = Duration::from_secs(2);
/// Talos tries to promote a learner this often.
const PROMOTE: Duration = Duration::from_secs(15);

/// Why a control plane does not get on; it tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlPlaneError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("etcd: {0}")]
    Etcd(#[from] Box<tonic::Status>),
    #[error("etcd: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Api(#[from] super::api::ApiError),
}

/// The processes of one control plane.
pub(super) struct ControlPlane {
    setting: Setting,
    programs: Programs,
    server: ServerId,
    site: Site,
    etcd: Option<Process>,
    static_pods: Option<StaticPods>,
    bootstrapped: bool,
    promote_at: Instant,
    retry_at: Instant,
    told: Option<(ProcessReport, Instant)>,
    said: String,
}

/// The Kubernetes programs, started from one state of the configuration.
struct StaticPods {
    cluster: Arc<Cluster>,
    api: Api,
    api_server: Process,
    controller_manager: Option<Process>,
    scheduler: Option<Process>,
}

impl StaticPods {
    /// Whether the API server would run in the same way with another configuration.
    fn serves_the_same(&self, cluster: &Cluster) -> bool {
        let mut own = (*self.cluster).clone();
        own.controller_manager.clone_from(&cluster.controller_manager);
        own.scheduler.clone_from(&cluster.scheduler);
        own == *cluster
    }

    /// Waits until none of them is left, so that their ports are free.
    async fn end(self) {
        for process in [Some(self.api_server), self.controller_manager, self.scheduler].into_iter().flatten() {
            process.kill().await;
        }
    }
}

impl ControlPlane {
    pub(super) fn new(setting: Setting, programs: Programs, server: ServerId, site: Site) -> Self {
        let now = Instant::now();
        Self {
            setting,
            programs,
            server,
            site,
            etcd: None,
            static_pods: None,
            bootstrapped: false,
            promote_at: now,
            retry_at: now,
            told: None,
            said: String::new(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            if Instant::now() >= self.retry_at
                && let Err(error) = self.look().await
            {
                self.retry_at = Instant::now() + RESTART;
                let text = error.to_string();
                if text != self.said {
                    tracing::warn!(machine = %self.site.hostname, error = %text, "control plane");
                    self.said = text;
                }
            }
            let steady = self.told.is_some_and(|(report, _)| report.api_server);
            sleep(if steady { STEADY } else { MOMENT }).await;
        }
    }

    /// Does the next thing that is missing, and reports.
    async fn look(&mut self) -> Result<(), ControlPlaneError> {
        let seen =
            self.setting.machines.look_at(self.server, |guest, now| Some((cluster_of(guest)?, guest.etcd_intent(now))));
        let Some((cluster, intent)) = seen.flatten() else { return Ok(()) };
        match intent {
            EtcdIntent::Rest => return Ok(()),
            EtcdIntent::Leave => return self.leave().await,
            EtcdIntent::Join | EtcdIntent::Run | EtcdIntent::Recover { .. } => self.keep_etcd(&cluster, intent).await?,
        }
        let mut report = self.check_etcd(&cluster).await?;
        if report.etcd_healthy || self.static_pods.is_some() {
            self.keep_static_pods(&cluster).await?;
        }
        report.api_server = self.check_api_server(&cluster).await?;
        self.tell(report);
        Ok(())
    }

    /// Reports what changed, and now and then what did not.
    fn tell(&mut self, report: ProcessReport) {
        if self.told.is_some_and(|(told, until)| told == report && Instant::now() < until) {
            return;
        }
        let server = self.server;
        self.setting.machines.ask(|guests, now| guests.report(server, report, now));
        self.told = Some((report, Instant::now() + REPEAT));
    }

    async fn leave(&mut self) -> Result<(), ControlPlaneError> {
        if let Some(pods) = self.static_pods.take() {
            pods.end().await;
        }
        if let Some(etcd) = self.etcd.take() {
            etcd.kill().await;
        }
        Ok(remove_dir(&self.site.dir.join("etcd"))?)
    }

    /// Starts etcd where it does not run: anew, into a cluster, or with the data that it has.
    async fn keep_etcd(&mut self, cluster: &Arc<Cluster>, intent: EtcdIntent) -> Result<(), ControlPlaneError> {
        if self.etcd.as_mut().is_some_and(|etcd| etcd.ended().is_none()) {
            return Ok(());
        }
        self.etcd = None;
        if intent == EtcdIntent::Join {
            // Whoever has yet to join has left or was reset: what is here belongs to an earlier membership.
            remove_dir(&self.site.dir.join("etcd"))?;
        }
        files::write_etcd(&self.site, cluster)?;
        let origin = match join::remembered(&self.site)? {
            Some(origin) => origin,
            None if intent == EtcdIntent::Run => join::remember(&self.site, Origin::New)?,
            None if let EtcdIntent::Recover { skip_hash_check } = intent => {
                if let Err(error) = self.restore_etcd(skip_hash_check).await {
                    let server = self.server;
                    self.setting.machines.ask(|guests, now| guests.etcd_not_recovered(server, now));
                    return Err(error);
                }
                Origin::Restarts
            }
            None => match join::join(&self.setting, self.server, &self.site).await? {
                Some(origin) => origin,
                None => return Ok(()),
            },
        };
        self.etcd = Some(self.start("etcd", None, &arguments::etcd(&self.site, cluster, &origin))?);
        Ok(())
    }

    /// Makes etcd's data from the snapshot that was uploaded, aside first: half of them must not be taken for all.
    async fn restore_etcd(&self, skip_hash_check: bool) -> Result<(), ControlPlaneError> {
        let snapshot = self.setting.machines.look_at(self.server, |guest, _| guest.uploaded_snapshot().cloned());
        let bytes = snapshot.flatten().unwrap_or_default();
        let (file, aside) = (self.site.dir.join("etcd.snapshot"), self.site.dir.join("etcd/restored"));
        tokio::fs::write(&file, bytes).await?;
        remove_dir(&aside)?;
        let arguments = arguments::restore(&self.site, &file, &aside, skip_hash_check);
        let program = self.programs.any();
        Process::complete(program, "etcdutl", &arguments, &self.setting.root, &self.log("etcdutl")).await?;
        Ok(tokio::fs::rename(&aside, self.site.dir.join("etcd/data")).await?)
    }

    fn start(&self, program: &str, version: Option<&str>, arguments: &[String]) -> Result<Process, StartError> {
        let kube = version.map_or_else(|| self.programs.any(), |version| self.programs.of(version));
        Process::start(kube, program, arguments, &self.setting.root, &self.log(program))
    }

    fn log(&self, program: &str) -> PathBuf {
        self.site.dir.join("logs").join(format!("{program}.log"))
    }

    /// What etcd answers; a learner is put up for promotion.
    async fn check_etcd(&mut self, cluster: &Cluster) -> Result<ProcessReport, ControlPlaneError> {
        let mut report = ProcessReport::default();
        if self.etcd.is_none() {
            return Ok(report);
        }
        let own = Etcd::at(self.site.address, etcd_client(&self.site)?)?;
        let Ok(Ok(status)) = timeout(CHECK, own.status()).await else { return Ok(report) };
        report.etcd_answers = true;
        report.etcd_healthy = status.leader != 0 && !status.is_learner && status.errors.is_empty();
        if status.is_learner && Instant::now() >= self.promote_at {
            self.promote_at = Instant::now() + self.setting.scale.shorten(PROMOTE).max(MOMENT);
            let member = status.header.map(|header| header.member_id).unwrap_or_default();
            let promoted = join::promote(&self.setting, self.server, &self.site, member).await;
            tracing::debug!(machine = %self.site.hostname, cluster = %cluster.cluster_name, promoted, "learner");
        }
        Ok(report)
    }

    /// Starts the API server, and once it answers the others; what a changed configuration concerns is started anew.
    async fn keep_static_pods(&mut self, cluster: &Arc<Cluster>) -> Result<(), ControlPlaneError> {
        if let Some(pods) = &mut self.static_pods
            && pods.api_server.ended().is_none()
            && pods.serves_the_same(cluster)
        {
            if pods.cluster.controller_manager != cluster.controller_manager {
                end(pods.controller_manager.take()).await;
            }
            if pods.cluster.scheduler != cluster.scheduler {
                end(pods.scheduler.take()).await;
            }
            pods.cluster = Arc::clone(cluster);
            return Ok(());
        }
        if let Some(pods) = self.static_pods.take() {
            pods.end().await;
        }
        files::write_kubernetes(&self.site, cluster)?;
        let api = admin(&self.site, &self.site)?;
        let version = cluster.api_server().version();
        let api_server = self.start("kube-apiserver", version, &arguments::api_server(&self.site, cluster))?;
        let cluster = Arc::clone(cluster);
        self.static_pods = Some(StaticPods { cluster, api, api_server, controller_manager: None, scheduler: None });
        Ok(())
    }

    async fn check_api_server(&mut self, cluster: &Arc<Cluster>) -> Result<bool, ControlPlaneError> {
        let Some(pods) = &mut self.static_pods else { return Ok(false) };
        let ready = timeout(CHECK, pods.api.call(Method::GET, "/readyz", Body::Empty)).await;
        if !matches!(ready, Ok(Ok(_))) {
            return Ok(false);
        }
        if !self.bootstrapped {
            manifests::apply(&pods.api, cluster).await?;
            self.bootstrapped = true;
        }
        let runs = |process: &mut Option<Process>| process.as_mut().is_some_and(|it| it.ended().is_none());
        let (manages, schedules) = (runs(&mut pods.controller_manager), runs(&mut pods.scheduler));
        let (mut manager, mut scheduler) = (None, None);
        if !manages {
            let arguments = arguments::controller_manager(&self.site, cluster);
            manager = Some(self.start("kube-controller-manager", cluster.controller_manager.version(), &arguments)?);
        }
        if !schedules {
            let arguments = arguments::scheduler(&self.site, cluster);
            scheduler = Some(self.start("kube-scheduler", cluster.scheduler.version(), &arguments)?);
        }
        if let Some(pods) = &mut self.static_pods {
            pods.controller_manager = manager.or_else(|| pods.controller_manager.take());
            pods.scheduler = scheduler.or_else(|| pods.scheduler.take());
        }
        Ok(true)
    }
}

async fn end(process: Option<Process>) {
    if let Some(process) = process {
        process.kill().await;
    }
}

/// TLS of a client of etcd, with the certificates that [`files::write_etcd`] wrote.
pub(super) fn etcd_client(site: &Site) -> Result<Arc<rustls::ClientConfig>, ControlPlaneError> {
    Ok(tls::client(&read(site, "etcd/ca.crt")?, &issued(site, "etcd/admin")?, tls::Protocol::Http2)?)
}

/// The API of `at` as the administrator that `site` has a certificate of.
pub(super) fn admin(site: &Site, at: &Site) -> Result<Api, ControlPlaneError> {
    let authority = read(site, "kubernetes/ca.crt")?;
    let tls = tls::client(&authority, &issued(site, "kubernetes/admin")?, tls::Protocol::Http1)?;
    Ok(Api::new(at.address, tls))
}

fn remove_dir(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn read(site: &Site, name: &str) -> std::io::Result<String> {
    std::fs::read_to_string(Path::new(&site.path(name)))
}

fn issued(site: &Site, name: &str) -> std::io::Result<Issued> {
    Ok(Issued { certificate_pem: read(site, &format!("{name}.crt"))?, key_pem: read(site, &format!("{name}.key"))? })
}

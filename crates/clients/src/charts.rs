//! Charts: fetched from their repositories, checked to be the ones that are wanted, and rendered by Helm.
//!
//! # Guarantees
//! A chart that is pinned is of that very digest. One that is not is of the digest that its repository tells, and of the one
//! that was first found under its name and version, for as long as the cache is kept. A request that was rendered before,
//! and is asked for now and again, is answered from the cache, without network and without Helm; a request always renders to
//! the same.
//!
//! Nothing is decided here: not which chart, not which values, and not whether what it renders to may be applied.

mod archive;
mod cache;
mod helm;
mod oci;
mod pruning;
mod repository;
mod scope;
mod source;
mod version;
mod web;
mod yaml;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use helix_engine::seams::{ChartError, ChartRequest, Charts, Rendering};
use helix_plan::components::values::KnownValues;
use helix_plan::components::{Digest, WantedChart};
use tokio::sync::Semaphore;

use self::cache::{Cache, Key, sha256};
use self::helm::Helm;
use self::source::Source;
use self::web::Web;
use crate::mirrors::Mirrors;

/// Charts that are fetched or rendered at a time; each rendering is two runs of Helm, of up to 200 MB.
const AT_A_TIME: usize = 4;

/// How charts are got and rendered.
#[derive(Clone, Debug)]
pub struct ChartOptions {
    /// Helm 4: a path, or a name that is looked up in `PATH`.
    pub helm: PathBuf,
    /// Where archives and renderings are kept, for as long as they are asked for; `None` for a directory that goes with the
    /// process.
    pub cache: Option<PathBuf>,
    /// Where the repositories are reached.
    pub mirrors: Mirrors,
}

impl Default for ChartOptions {
    /// The `helm` of `PATH`, nothing that outlasts the process, and repositories where they say they are.
    fn default() -> Self {
        Self { helm: PathBuf::from("helm"), cache: None, mirrors: Mirrors::default() }
    }
}

/// What is needed for charts could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The cache's directory cannot be used.
    #[error("the cache of charts{} cannot be used: {source}", place(.directory.as_ref()))]
    Cache {
        /// The one that was named.
        directory: Option<PathBuf>,
        /// What happened.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("a client of chart repositories cannot be set up: {why}")]
    Tls {
        /// What happened.
        why: String,
    },
}

fn place(directory: Option<&PathBuf>) -> String {
    directory.map(|directory| format!(" in {}", directory.display())).unwrap_or_default()
}

/// Fetches, keeps and renders charts; shared by all platforms.
pub struct ChartStore {
    web: Web,
    cache: Arc<Cache>,
    helm: Helm,
    turns: Semaphore,
}

impl fmt::Debug for ChartStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChartStore")
    }
}

impl ChartStore {
    /// Sends and runs nothing yet.
    ///
    /// # Errors
    /// [`SetUpError`] when the cache's directory cannot be used, or TLS cannot be set up.
    pub fn new(options: ChartOptions) -> Result<Self, SetUpError> {
        let ChartOptions { helm, cache: directory, mirrors } = options;
        let cache = Cache::open(directory.clone()).map_err(|source| SetUpError::Cache { directory, source })?;
        let helm = Helm::new(helm, cache.helm_home());
        let web = Web::new(mirrors).map_err(|why| SetUpError::Tls { why })?;
        Ok(Self { web, cache: Arc::new(cache), helm, turns: Semaphore::new(AT_A_TIME) })
    }

    /// Asks Helm for its version, on which every rendering hangs: what was rendered by another process before can be had by
    /// [`Charts::rendered`] only then. Nothing else is run, and nothing fetched.
    ///
    /// # Errors
    /// [`ChartError::NoHelm`].
    pub async fn ask_helm(&self) -> Result<(), ChartError> {
        self.helm.version().await.map(drop)
    }

    /// The archive's digest and the values that the chart knows. The archive itself is in the cache then.
    async fn chart(&self, chart: &WantedChart) -> Result<(String, KnownValues), ChartError> {
        if let Some(digest) = self.cache.digest_of(chart) {
            let (cache, wanted) = (Arc::clone(&self.cache), digest.clone());
            if let Some(archive) = blocking(move || cache.read_archive(&wanted)).await.flatten() {
                return Ok((digest, read(chart, archive).await?));
            }
        }
        let source = Source(chart);
        let found = source::fetch(&self.web, chart).await?;
        let digest = sha256(&found.archive);
        for wanted in [self.cache.digest_of(chart), found.told].into_iter().flatten() {
            if wanted != digest {
                return Err(source.other_digest(&wanted, &digest));
            }
        }
        let archive = found.archive.clone();
        let known = read(chart, found.archive).await?;
        let (cache, chart, kept) = (Arc::clone(&self.cache), chart.clone(), digest.clone());
        let keep = move || {
            cache.keep_archive(&kept, &archive)?;
            if chart.digest == Digest::ToBeResolved { cache.found_first(&chart, &kept) } else { Ok(()) }
        };
        match blocking(keep).await {
            Some(Ok(())) => Ok((digest, known)),
            Some(Err(error)) => Err(source.unusable(format!("it cannot be kept: {error}"))),
            None => Err(source.unusable("it cannot be kept".to_owned())),
        }
    }

    /// The key of a request, if all that it hangs on is known without asking anybody.
    fn key(&self, request: &ChartRequest) -> Option<Key> {
        Some(Key::of(request, &self.cache.digest_of(&request.chart)?, self.helm.known_version()?))
    }

    async fn cached(&self, key: Key) -> Option<Arc<Rendering>> {
        if let Some(held) = self.cache.used(&key) {
            return Some(held);
        }
        let cache = Arc::clone(&self.cache);
        blocking(move || cache.rendering(&key)).await.flatten()
    }
}

/// Reads what an archive is; minutes of nobody else's time are spent on it.
async fn read(chart: &WantedChart, archive: Vec<u8>) -> Result<KnownValues, ChartError> {
    let (name, version) = (chart.name, chart.version.clone());
    let read = blocking(move || archive::read(&archive, name, &version)).await;
    read.unwrap_or_else(|| Err("it cannot be read".to_owned())).map_err(|why| Source(chart).unusable(why))
}

/// Lets something run where it holds up nobody; `None` if it panics.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[async_trait]
impl Charts for ChartStore {
    async fn rendered(&self, request: &ChartRequest) -> Option<Arc<Rendering>> {
        self.cached(self.key(request)?).await
    }

    async fn render(&self, request: &ChartRequest) -> Result<Arc<Rendering>, ChartError> {
        let source = Source(&request.chart);
        // It is never closed.
        let _turn = self.turns.acquire().await;
        let helm = self.helm.version().await?;
        if let Some(rendered) = self.rendered(request).await {
            return Ok(rendered);
        }
        let (digest, known) = self.chart(&request.chart).await?;
        let key = Key::of(request, &digest, helm);
        if let Some(rendered) = self.cached(key.clone()).await {
            return Ok(rendered);
        }
        let unknown = known.unknown_keys(&request.values, request.open_values);
        let manifests = if unknown.is_empty() {
            self.helm.render(request, &self.cache.archive(&digest)).await?
        } else {
            Vec::new()
        };
        let rendering = Arc::new(Rendering { chart_digest: digest, unknown_values: unknown, manifests });
        let (cache, kept) = (Arc::clone(&self.cache), Arc::clone(&rendering));
        match blocking(move || cache.keep_rendering(&key, &kept)).await {
            Some(Ok(())) => Ok(rendering),
            Some(Err(error)) => Err(source.not_rendered(format!("the rendering cannot be kept: {error}"))),
            None => Err(source.not_rendered("the rendering cannot be kept".to_owned())),
        }
    }
}

//! What was fetched and rendered before, on disk and in memory: archives by their digest, renderings by all that they
//! were made from, and what each chart hashed to when it was first found.
//!
//! A file is complete or not there. One that is damaged counts as not there: everything in it can be had again, but for
//! what a chart first hashed to. That is never removed; archives and renderings are, once nobody asks for them.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use helix_engine::seams::{ChartRequest, Rendering};
use helix_plan::components::values::UnknownKey;
use helix_plan::components::{Digest as Wanted, WantedChart};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::pruning::{self, BOUNDS};

/// Bytes of renderings that are kept in memory; what was not used for longest leaves first.
const MOST_IN_MEMORY: usize = 256 << 20;
/// What is used in memory is noted on disk as asked for once in so long.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// Changes whenever the same output of Helm would be read into something else.
const READING: &str = "1";

/// The SHA-256 of something, in hex.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(Sha256::new_with_prefix(content))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parts carry their length, so that no two lists of parts read the same.
fn of_parts(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(hash)
}

/// All that a rendering was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn of(request: &ChartRequest, archive: &str, helm: &str) -> Self {
        let ChartRequest { chart: _, release, namespace, values, open_values, kubernetes } = request;
        let (values, open) = (values.to_string(), open_values.join("\n"));
        Self(of_parts(&[READING, archive, &values, &open, release, namespace, kubernetes, helm]))
    }
}

/// A rendering as it is on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    chart_digest: String,
    unknown_values: Vec<(String, Option<String>)>,
    manifests: Vec<Value>,
}

/// In memory, with its size on disk and when it was last used.
struct Held {
    rendering: Arc<Rendering>,
    bytes: usize,
    used: u64,
    /// When its file was last noted as asked for.
    noted: Instant,
}

#[derive(Default)]
struct Memory {
    renderings: HashMap<Key, Held>,
    uses: u64,
    /// By [`of_parts`] of repository, name and version.
    first_found: HashMap<String, String>,
}

/// The cache.
pub(super) struct Cache {
    root: PathBuf,
    memory: Mutex<Memory>,
    /// Where nobody named a directory: gone with the process.
    _temporary: Option<TempDir>,
}

impl Cache {
    /// In that directory, which is made if need be and is for this user's eyes only; else in one that goes with the
    /// process, and with it what charts hashed to when they were first found. What it holds out of bounds is removed.
    pub(super) fn open(directory: Option<PathBuf>) -> io::Result<Self> {
        let temporary = if directory.is_none() { Some(TempDir::with_prefix("helix-charts-")?) } else { None };
        let root = directory.or_else(|| Some(temporary.as_ref()?.path().to_owned())).unwrap_or_default();
        // Helm works in a directory of its own and finds archives from there.
        let root = std::path::absolute(root)?;
        for part in ["", "archives", "first-found", "helm", "renderings"] {
            let path = root.join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        }
        let cache = Self { root, memory: Mutex::default(), _temporary: temporary };
        cache.prune();
        Ok(cache)
    }

    fn prune(&self) {
        pruning::prune(&["archives", "renderings"].map(|part| self.root.join(part)), BOUNDS);
    }

    /// A directory for Helm's own files.
    pub(super) fn helm_home(&self) -> PathBuf {
        self.root.join("helm")
    }

    /// Where the archive of that digest is, or would be.
    pub(super) fn archive(&self, digest: &str) -> PathBuf {
        self.root.join("archives").join(format!("{digest}.tgz"))
    }

    /// The content of an archive, if it is there and still hashes to its name.
    pub(super) fn read_archive(&self, digest: &str) -> Option<Vec<u8>> {
        let path = self.archive(digest);
        pruning::asked(&path);
        fs::read(path).ok().filter(|content| sha256(content) == digest)
    }

    pub(super) fn keep_archive(&self, digest: &str, content: &[u8]) -> io::Result<()> {
        write(&self.archive(digest), content)
    }

    /// What a chart hashes to: as pinned, else as it was first found.
    pub(super) fn digest_of(&self, chart: &WantedChart) -> Option<String> {
        if let Wanted::Pinned(digest) = chart.digest {
            return Some(digest.to_owned());
        }
        let name = name(chart);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = memory.first_found.get(&name) {
            return Some(digest.clone());
        }
        let digest = fs::read_to_string(self.root.join("first-found").join(&name)).ok()?;
        memory.first_found.insert(name, digest.clone());
        Some(digest)
    }

    /// Holds a chart to that digest from now on.
    pub(super) fn found_first(&self, chart: &WantedChart, digest: &str) -> io::Result<()> {
        write(&self.root.join("first-found").join(name(chart)), digest.as_bytes())
    }

    /// A rendering, from memory or else from disk.
    pub(super) fn rendering(&self, key: &Key) -> Option<Arc<Rendering>> {
        if let Some(held) = self.used(key) {
            return Some(held);
        }
        let content = fs::read(self.rendering_file(key)).ok()?;
        let stored: Stored = serde_json::from_slice(&content).ok()?;
        let unknown = stored.unknown_values.into_iter();
        let rendering = Arc::new(Rendering {
            chart_digest: stored.chart_digest,
            unknown_values: unknown.map(|(path, nearest)| UnknownKey { path, nearest }).collect(),
            manifests: stored.manifests,
        });
        self.note(key, &rendering);
        self.hold(key, &rendering, content.len());
        Some(rendering)
    }

    pub(super) fn keep_rendering(&self, key: &Key, rendering: &Arc<Rendering>) -> io::Result<()> {
        let unknown = rendering.unknown_values.iter();
        let stored = Stored {
            chart_digest: rendering.chart_digest.clone(),
            unknown_values: unknown.map(|it| (it.path.clone(), it.nearest.clone())).collect(),
            manifests: rendering.manifests.clone(),
        };
        let content = serde_json::to_vec(&stored)?;
        self.hold(key, rendering, content.len());
        write(&self.rendering_file(key), &content)?;
        self.prune();
        Ok(())
    }

    /// A rendering that is in memory.
    pub(super) fn used(&self, key: &Key) -> Option<Arc<Rendering>> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.uses += 1;
        let now = memory.uses;
        let held = memory.renderings.get_mut(key)?;
        held.used = now;
        if held.noted.elapsed() >= NOTED_EVERY {
            held.noted = Instant::now();
            self.note(key, &held.rendering);
        }
        Some(Arc::clone(&held.rendering))
    }

    /// Notes that a rendering is asked for, and with it its archive, which other values would be rendered from.
    fn note(&self, key: &Key, rendering: &Rendering) {
        pruning::asked(&self.rendering_file(key));
        pruning::asked(&self.archive(&rendering.chart_digest));
    }

    fn hold(&self, key: &Key, rendering: &Arc<Rendering>, bytes: usize) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.uses += 1;
        let held = Held { rendering: Arc::clone(rendering), bytes, used: memory.uses, noted: Instant::now() };
        memory.renderings.insert(key.clone(), held);
        while memory.renderings.len() > 1
            && memory.renderings.values().map(|held| held.bytes).sum::<usize>() > MOST_IN_MEMORY
        {
            let oldest = memory.renderings.iter().min_by_key(|(_, held)| held.used).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| memory.renderings.remove(&oldest));
        }
    }

    fn rendering_file(&self, key: &Key) -> PathBuf {
        self.root.join("renderings").join(format!("{}.json", key.0))
    }
}

fn name(chart: &WantedChart) -> String {
    of_parts(&[chart.repository, chart.name, &chart.version])
}

/// Beside, and then in one step to where it will be found.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| io::Error::other("it has no directory"))?;
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

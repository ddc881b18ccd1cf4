//! Runs Helm: a program of others on a chart of others. It gets no environment but a home of its own, no network that it
//! could use, values on its standard input only, and bounded time and output; it is killed when nobody waits for it any
//! more.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use helix_engine::seams::{ChartError, ChartRequest};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use super::scope::name_namespaces;
use super::source::Source;
use super::yaml;

/// How long one run may take. The largest chart of the catalogue takes a second or two.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that it may print: resource definitions are the most of it, and the largest set of them has 5 MB.
const LARGEST_OUTPUT: u64 = 48 << 20;
/// Characters of its words that are told.
const LONGEST_WORDS: usize = 600;
/// Where nobody listens: a schema that refers to the network fails at once, instead of making a rendering depend on it.
const NO_PROXY_HERE: &str = "http://127.0.0.1:9";

/// The program.
#[derive(Debug)]
pub(super) struct Helm {
    /// As it was named.
    named: PathBuf,
    home: PathBuf,
    version: OnceCell<String>,
}

struct Output {
    success: bool,
    printed: Vec<u8>,
    complained: Vec<u8>,
}

impl Helm {
    /// Nothing is run yet; `home` is a directory of its own.
    pub(super) fn new(named: PathBuf, home: PathBuf) -> Self {
        Self { named, home, version: OnceCell::new() }
    }

    /// Its version, if it was asked before.
    pub(super) fn known_version(&self) -> Option<&str> {
        self.version.get().map(String::as_str)
    }

    /// Its version, as in `v4.3.1`; asked once.
    pub(super) async fn version(&self) -> Result<&str, ChartError> {
        let asked = self.version.get_or_try_init(|| async {
            let no_helm = |why: String| ChartError::NoHelm { why };
            let output = self.run(&["version", "--template={{.Version}}"], Vec::new()).await.map_err(no_helm)?;
            let version = String::from_utf8_lossy(&output.printed).trim().to_owned();
            if output.success && version.starts_with("v4.") {
                return Ok(version);
            }
            let what = if output.success { version } else { words(&output.complained) };
            Err(no_helm(format!("{} says that it is `{what}`; name a Helm 4 with --helm", self.named.display())))
        });
        asked.await.map(String::as_str)
    }

    /// What an archive renders to. It is rendered twice, and what differs is refused: nobody could tell drift from chance.
    pub(super) async fn render(&self, request: &ChartRequest, archive: &Path) -> Result<Vec<Value>, ChartError> {
        let (first, second) = tokio::try_join!(self.once(request, archive), self.once(request, archive))?;
        if first == second {
            return Ok(first);
        }
        let differing = first.iter().zip(&second).find(|(first, second)| first != second).map(|(first, _)| first);
        let which = differing.map_or_else(|| "the number of its objects".to_owned(), title);
        let why = format!("{which} is different each time. Set its values so that nothing in it is left to chance");
        Err(Source(&request.chart).not_rendered(why))
    }

    async fn once(&self, request: &ChartRequest, archive: &Path) -> Result<Vec<Value>, ChartError> {
        let source = Source(&request.chart);
        let arguments: [&OsStr; 12] = [
            "template".as_ref(),
            request.release.as_ref(),
            archive.as_os_str(),
            "--namespace".as_ref(),
            request.namespace.as_ref(),
            "--kube-version".as_ref(),
            request.kubernetes.as_ref(),
            "--values".as_ref(),
            "-".as_ref(),
            "--include-crds".as_ref(),
            "--no-hooks".as_ref(),
            "--skip-tests".as_ref(),
        ];
        let output = self.run(&arguments, request.values.to_string().into_bytes()).await;
        let output = output.map_err(|why| ChartError::NoHelm { why })?;
        if !output.success {
            return Err(source.not_rendered(words(&output.complained)));
        }
        let namespace = request.namespace.clone();
        let read = tokio::task::spawn_blocking(move || manifests(&output.printed, &namespace)).await;
        read.map_err(|error| error.to_string()).and_then(|read| read).map_err(|why| source.not_rendered(why))
    }

    async fn run<S: AsRef<OsStr>>(&self, arguments: &[S], input: Vec<u8>) -> Result<Output, String> {
        let mut child = self.spawn(arguments)?;
        let finished = async {
            let lost = || "its streams are not there".to_owned();
            let mut stdin = child.stdin.take().ok_or_else(lost)?;
            let (stdout, stderr) = (child.stdout.take().ok_or_else(lost)?, child.stderr.take().ok_or_else(lost)?);
            let feed = async move {
                // One that does not want to read on says why by its code and its words.
                let _ = stdin.write_all(&input).await;
                drop(stdin);
                Ok(())
            };
            let ((), printed, complained) = tokio::try_join!(feed, bounded(stdout), bounded(stderr))?;
            let status = child.wait().await.map_err(|error| error.to_string())?;
            Ok(Output { success: status.success(), printed, complained })
        };
        let late = || Err(format!("it has not finished in {} s", TIMEOUT.as_secs()));
        let finished = tokio::time::timeout(TIMEOUT, finished).await.unwrap_or_else(|_| late());
        finished.map_err(|why: String| format!("{}: {why}", self.named.display()))
    }

    fn spawn<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Child, String> {
        let program = found(&self.named).ok_or_else(|| {
            let named = self.named.display();
            format!("there is no {named} in PATH; install Helm 4 or name it with --helm")
        })?;
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.home).args(arguments).kill_on_drop(true);
        for name in ["HOME", "TMPDIR", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"] {
            command.env(name, &self.home);
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(name, NO_PROXY_HERE);
        }
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| format!("{} does not start: {error}; name a Helm 4 with --helm", self.named.display());
        command.spawn().map_err(failed)
    }
}

/// The program's file: the environment that it gets holds no PATH to look it up in.
fn found(named: &Path) -> Option<PathBuf> {
    if named.components().count() > 1 {
        // It is started in another directory.
        return std::path::absolute(named).ok();
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join(named)).find(|file| file.is_file())
}

async fn bounded(stream: impl AsyncRead + Unpin) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    stream.take(LARGEST_OUTPUT + 1).read_to_end(&mut read).await.map_err(|error| error.to_string())?;
    if read.len() as u64 > LARGEST_OUTPUT {
        return Err(format!("it prints more than {LARGEST_OUTPUT} bytes"));
    }
    Ok(read)
}

/// What Helm complains of, in as many characters as a condition can bear. What it says first is what matters.
fn words(complained: &[u8]) -> String {
    let text = String::from_utf8_lossy(complained);
    let text = text.trim().trim_start_matches("Error: ");
    match text.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The objects that were printed, each named in full.
fn manifests(printed: &[u8], namespace: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> = yaml::all(printed).map_err(|error| format!("what it renders is no YAML: {error}"))?;
    let mut manifests = Vec::new();
    for document in documents {
        if document.is_null() {
            continue;
        }
        match document {
            Value::Object(mut list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                manifests.extend(list.remove("items").and_then(|items| items.as_array().cloned()).unwrap_or_default());
            }
            document => manifests.push(document),
        }
    }
    for manifest in &manifests {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if [text("/apiVersion"), text("/kind"), text("/metadata/name")].iter().any(|part| part.is_empty()) {
            return Err(format!("it renders {}, which has no name, kind or version", title(manifest)));
        }
    }
    name_namespaces(&mut manifests, namespace);
    Ok(manifests)
}

fn title(manifest: &Value) -> String {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or("(none)");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_read_one_by_one() {
        let printed = b"---\n# only words\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
        let read = manifests(printed, "here").unwrap();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "here"}});
        assert_eq!(read, [map, namespace]);
        assert!(
            manifests(b"apiVersion: v1\nkind: Job\nmetadata: {generateName: x-}\n", "here")
                .unwrap_err()
                .contains("Job")
        );
    }

    #[test]
    fn words_are_bounded() {
        assert_eq!(words(b"Error: no such thing\n"), "no such thing");
        assert_eq!(words("é".repeat(2000).as_bytes()).chars().count(), LONGEST_WORDS + 1);
    }
}

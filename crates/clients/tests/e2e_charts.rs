//! Charts from servers that answer as repositories and registries do, good ones and others, and through a real Helm: what
//! is wanted is rendered, once and always the same; what is not wanted is refused with the reason.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/helm.rs"]
mod helm;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use helix_clients::charts::{ChartOptions, ChartStore};
use helix_clients::mirrors::Mirror;
use helix_engine::seams::{ChartError, ChartRequest, Charts as _};
use helix_plan::components::{Digest, WantedChart};
use helm::helm;
use http::header::{AUTHORIZATION, HOST, LOCATION, WWW_AUTHENTICATE};
use http::response::Builder;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use sha2::Digest as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const REPOSITORY: &str = "https://charts.example/stable";
const REGISTRY: &str = "oci://registry.example/charts";

type Body = Full<Cursor<Vec<u8>>>;

fn sha256(content: &[u8]) -> String {
    sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An archive of those files; names are written as they are, whatever they lead to.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

const DESCRIBED: &str = "apiVersion: v2\nname: demo\nversion: 1.2.0\n";
const VALUES: &str = "size: 1\nlabels: {}\nsub: {enabled: true}\n";
const TEMPLATE: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  labels: {{ toJson .Values.labels }}
data:
  size: {{ .Values.size | quote }}
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
"#;
const HOOK: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: post-install}}\n";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
    metadata: {name: x.example.com}\nspec: {group: example.com, scope: Cluster, names: {kind: X}}\n";

fn demo(template: &str) -> Vec<u8> {
    archive(&[
        ("demo/Chart.yaml", DESCRIBED),
        ("demo/values.yaml", VALUES),
        ("demo/templates/main.yaml", template),
        ("demo/templates/hook.yaml", HOOK),
        ("demo/crds/x.yaml", DEFINITION),
        ("demo/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
        ("demo/charts/sub/values.yaml", "enabled: true\ndepth: 3\n"),
    ])
}

/// What is served, by path; a path that ends in `>` points to its content.
#[derive(Clone, Default)]
struct Served(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Served {
    fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.0.lock().unwrap().insert(path.to_owned(), content.into());
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// As a repository's index has it.
    fn publish(&self, version: &str, content: &[u8], digest: Option<&str>) {
        let mut entry = json!({"name": "demo", "version": version, "urls": [format!("demo-{version}.tgz")]});
        if let Some(digest) = digest {
            entry["digest"] = json!(digest);
        }
        let index = json!({"entries": {"demo": [entry], "other": [{"version": "9.9.9"}]}});
        self.put("/charts.example/stable/index.yaml", index.to_string());
        self.put(&format!("/charts.example/stable/demo-{version}.tgz"), content);
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let (path, host) = (request.uri().path(), request.headers()[HOST].to_str().unwrap());
        let empty = |builder: Builder| builder.body(Body::default()).unwrap();
        if path.starts_with("/v2/") && request.headers().get(AUTHORIZATION).is_none_or(|it| it != "Bearer anybody") {
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"r\",scope=\"pull\"");
            return empty(Response::builder().status(401).header(WWW_AUTHENTICATE, challenge));
        }
        let served = self.0.lock().unwrap();
        if let Some(to) = served.get(&format!("{path}>")) {
            return empty(Response::builder().status(302).header(LOCATION, to.as_slice()));
        }
        match served.get(path) {
            Some(content) => Response::new(Full::new(Cursor::new(content.clone()))),
            None => empty(Response::builder().status(404)),
        }
    }
}

/// A store whose every origin is a server of this test's own.
struct Stage {
    served: Served,
    mirror: String,
    cache: TempDir,
    helm: PathBuf,
    /// Aborted with this.
    _server: JoinSet<()>,
}

impl Stage {
    async fn new(helm: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mirror = format!("*=http://{}", listener.local_addr().unwrap());
        let served = Served::default();
        let mut server = JoinSet::new();
        let serving = served.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let served = serving.clone();
                let answer = service_fn(move |request| {
                    let answer = served.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                connections.spawn(async move {
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { served, mirror, cache: TempDir::with_prefix("helix-charts-test-").unwrap(), helm, _server: server }
    }

    /// A store with the same directory, as one of another process would be.
    fn store(&self) -> ChartStore {
        let mirrors = [self.mirror.parse::<Mirror>().unwrap()].into_iter().collect();
        let cache = Some(self.cache.path().to_owned());
        ChartStore::new(ChartOptions { helm: self.helm.clone(), cache, mirrors }).unwrap()
    }

    async fn refused(&self, request: &ChartRequest) -> ChartError {
        self.store().render(request).await.unwrap_err()
    }
}

fn request(repository: &'static str, digest: Digest, values: Value) -> ChartRequest {
    ChartRequest {
        chart: WantedChart { repository, name: "demo", version: "1.2.0".to_owned(), digest },
        release: "rel".to_owned(),
        namespace: "here".to_owned(),
        values,
        open_values: &[],
        kubernetes: "v1.36.3".to_owned(),
    }
}

fn plain() -> ChartRequest {
    request(REPOSITORY, Digest::ToBeResolved, json!({}))
}

fn pinned(digest: &str) -> ChartRequest {
    request(REPOSITORY, Digest::Pinned(String::leak(digest.to_owned())), json!({}))
}

/// A program that says that it is Helm, and whatever else it is told to say.
fn claimed(directory: &Path, says: &str) -> PathBuf {
    let path = directory.join("helm");
    std::fs::write(&path, format!("#!/bin/sh\nif [ \"$1\" = version ]; then echo v4.0.0; exit; fi\n{says}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn data(manifests: &[Value]) -> &Value {
    &manifests.iter().find(|it| it["kind"] == "ConfigMap").unwrap()["data"]
}

#[tokio::test]
async fn a_chart_is_rendered_once_and_always_the_same() {
    let Some(helm) = helm() else { return };
    let stage = Stage::new(helm).await;
    let content = demo(TEMPLATE);
    stage.served.publish("1.2.0", &content, Some(&sha256(&content)));
    let (store, wanted) =
        (stage.store(), request(REPOSITORY, Digest::ToBeResolved, json!({"size": "2: [", "labels": {"a": "b"}})));
    assert_eq!(store.rendered(&wanted).await, None);
    let rendering = store.render(&wanted).await.unwrap();
    let kinds: Vec<_> = rendering.manifests.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["CustomResourceDefinition", "ConfigMap"], "no hooks");
    assert_eq!(data(&rendering.manifests), &json!({"size": "2: [", "kubernetes": "v1.36.3"}));
    let names: Vec<_> = rendering.manifests.iter().map(|it| it["metadata"]["namespace"].as_str()).collect();
    assert_eq!(names, [None, Some("here")]);
    assert_eq!((&rendering.chart_digest, &rendering.unknown_values), (&sha256(&content), &vec![]));

    // From here on the repository is gone, and it makes no difference.
    stage.served.clear();
    assert!(Arc::ptr_eq(&store.rendered(&wanted).await.unwrap(), &rendering));
    let another = stage.store();
    assert_eq!(another.rendered(&wanted).await, None, "it has not asked for Helm's version yet");
    assert_eq!(another.render(&wanted).await.unwrap(), rendering);
    assert_eq!(another.rendered(&wanted).await, Some(rendering));
    let other_values = request(REPOSITORY, Digest::ToBeResolved, json!({"size": 3}));
    assert_eq!(another.rendered(&other_values).await, None);
    assert_eq!(data(&another.render(&other_values).await.unwrap().manifests)["size"], "3");
}

/// A rendering program that insists on the archive that it is given; it works in another directory than this process.
#[tokio::test]
async fn a_cache_may_be_named_from_where_the_process_works() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), r#"[ -f "$3" ] || { echo "there is no $3" >&2; exit 1; }"#)).await;
    stage.served.publish("1.2.0", &demo(TEMPLATE), None);
    let here = std::env::current_dir().unwrap();
    let root: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let cache = root.join(stage.cache.path().strip_prefix("/").unwrap());
    assert!(cache.is_relative());
    let mirrors = [stage.mirror.parse::<Mirror>().unwrap()].into_iter().collect();
    let store = ChartStore::new(ChartOptions { helm: stage.helm.clone(), cache: Some(cache), mirrors }).unwrap();
    store.render(&plain()).await.unwrap();
    let (archives, another) = (stage.cache.path().join("archives"), stage.store());
    assert_eq!(std::fs::read_dir(archives).unwrap().count(), 1);
    another.ask_helm().await.unwrap();
    assert!(another.rendered(&plain()).await.is_some(), "what another process has rendered is found");
}

#[tokio::test]
async fn what_nobody_asks_for_leaves_the_cache_but_for_what_it_hashed_to() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), "echo")).await;
    let content = demo(TEMPLATE);
    stage.served.publish("1.2.0", &content, None);
    stage.store().render(&plain()).await.unwrap();
    let files = |part: &str| {
        let entries = std::fs::read_dir(stage.cache.path().join(part)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let parts = ["archives", "renderings", "first-found"];
    let age = |path: &Path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(40 * 24 * 3_600)).unwrap();
    };
    let age_all = || parts.iter().flat_map(|part| files(part)).for_each(|path| age(&path));

    age_all();
    let store = stage.store();
    assert_eq!(parts.map(|part| files(part).len()), [0, 0, 1]);
    store.render(&plain()).await.unwrap();
    // Asked for by who does not have it in memory, it stays; and so does its archive.
    age_all();
    let values = request(REPOSITORY, Digest::ToBeResolved, json!({"size": 3}));
    store.render(&values).await.unwrap();
    assert_eq!(parts.map(|part| files(part).len()), [1, 1, 1], "the other rendering left when this one came");

    stage.served.publish("1.2.0", &demo(&TEMPLATE.replace("size:", "weight:")), None);
    age_all();
    assert_eq!(stage.refused(&plain()).await.reason(), "ChartDigestMismatch");
}

#[tokio::test]
async fn what_depends_on_chance_or_fails_is_not_rendered() {
    let Some(helm) = helm() else { return };
    let stage = Stage::new(helm).await;
    for (template, why) in [
        (TEMPLATE.replace(".Values.size", "randAlphaNum 20"), "ConfigMap rel is different each time"),
        (TEMPLATE.replace(".Values.size", "fail \"no size\""), "no size"),
        (TEMPLATE.replace("kind:", "sort:"), "which has no name, kind or version"),
        (TEMPLATE.replace("data:", "data: {}\ndata:"), "duplicate"),
    ] {
        let content = demo(&template);
        stage.served.publish("1.2.0", &content, None);
        let digest = sha256(&content);
        let error = stage.refused(&pinned(&digest)).await;
        assert_eq!(error.reason(), "ChartNotRendered", "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn what_a_chart_does_not_know_is_told_before_anything_is_rendered() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), "exit 1")).await;
    stage.served.publish("1.2.0", &demo(TEMPLATE), None);
    let values = json!({"szie": 2, "sub": {"depth": 4, "dept": 5}, "labels": {"any": "thing"}});
    let store = stage.store();
    let wanted = request(REPOSITORY, Digest::ToBeResolved, values);
    let rendering = store.render(&wanted).await.unwrap();
    let told: Vec<_> = rendering.unknown_values.iter().map(|it| (it.path.as_str(), it.nearest.as_deref())).collect();
    assert_eq!(told, [("sub.dept", Some("sub.depth")), ("szie", Some("size"))]);
    assert_eq!((rendering.manifests.len(), store.rendered(&wanted).await), (0, Some(rendering)));
}

#[tokio::test]
async fn a_registry_gives_what_it_names_by_digest_to_anybody() {
    let Some(helm) = helm() else { return };
    let stage = Stage::new(helm).await;
    let (content, base) = (demo(TEMPLATE), "/v2/registry.example/charts/demo");
    let layer = |digest: &str| {
        json!({"layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": format!("sha256:{digest}"), "size": 1}]})
        .to_string()
    };
    stage.served.put("/token", r#"{"token": "anybody"}"#);
    stage.served.put(&format!("{base}/tags/list"), r#"{"tags": ["1.1.9", "0.9.0"]}"#);
    let wanted = request(REGISTRY, Digest::ToBeResolved, json!({}));
    let error = stage.refused(&wanted).await;
    assert!(error.to_string().ends_with("has no demo 1.2.0; the nearest is 1.1.9"), "{error}");

    let digest = sha256(&content);
    stage.served.put(&format!("{base}/manifests/1.2.0"), layer(&digest));
    // Registries keep their blobs elsewhere.
    stage.served.put(&format!("{base}/blobs/sha256:{digest}>"), "/storage/blob?signed=yes");
    stage.served.put("/storage/blob", content.clone());
    assert_eq!(stage.store().render(&wanted).await.unwrap().chart_digest, digest);

    let other = demo(&TEMPLATE.replace("size:", "weight:"));
    stage.served.put("/storage/blob", other);
    let again = Stage { cache: TempDir::new().unwrap(), ..stage };
    assert_eq!(again.refused(&wanted).await.reason(), "ChartDigestMismatch");
}

#[tokio::test]
async fn a_chart_is_held_to_what_it_hashed_to() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), "echo")).await;
    let (first, second) = (demo(TEMPLATE), demo(&TEMPLATE.replace("size:", "weight:")));
    stage.served.publish("1.2.0", &second, None);
    let error = stage.refused(&pinned(&sha256(&first))).await;
    assert_eq!(error.reason(), "ChartDigestMismatch");
    assert!(error.to_string().contains(&sha256(&first)) && error.to_string().contains(&sha256(&second)), "{error}");
    stage.served.publish("1.2.0", &second, Some(&sha256(&first)));
    assert_eq!(stage.refused(&plain()).await.reason(), "ChartDigestMismatch");

    stage.served.publish("1.2.0", &first, None);
    stage.store().render(&plain()).await.unwrap();
    std::fs::remove_dir_all(stage.cache.path().join("archives")).unwrap();
    std::fs::remove_dir_all(stage.cache.path().join("renderings")).unwrap();
    stage.served.publish("1.2.0", &second, Some(&sha256(&second)));
    assert_eq!(stage.refused(&plain()).await.reason(), "ChartDigestMismatch", "it was another when it was first found");
    stage.served.publish("1.2.0", &first, Some(&sha256(&first)));
    stage.store().render(&plain()).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), "echo")).await;
    let told = async || stage.refused(&plain()).await.to_string();
    assert!(told().await.contains("its index.yaml answers 404: it may have moved"), "{}", told().await);
    stage.served.put("/charts.example/stable/index.yaml", "<html>");
    assert!(told().await.contains("its index.yaml cannot be read"), "{}", told().await);
    stage.served.publish("1.2.1", b"", None);
    assert!(told().await.ends_with("has no demo 1.2.0; the nearest is 1.2.1"), "{}", told().await);
    stage.served.put("/charts.example/stable/index.yaml>", "/charts.example/stable/index.yaml");
    assert!(told().await.contains("points on and on"), "{}", told().await);

    let one = Stage { mirror: stage.mirror.replace('*', "https://charts.example"), ..stage };
    one.served.put("/stable/index.yaml>", "http://192.0.2.1/index.yaml");
    let moved = one.refused(&plain()).await.to_string();
    assert!(moved.contains("http://192.0.2.1/index.yaml: it is not https"), "{moved}");
}

#[tokio::test]
async fn an_archive_that_is_not_the_chart_is_refused() {
    let directory = TempDir::new().unwrap();
    let stage = Stage::new(claimed(directory.path(), "echo")).await;
    let described = ("demo/Chart.yaml", DESCRIBED);
    let large = "x".repeat(9 << 20);
    let bomb = "\0".repeat(140 << 20);
    for (content, why) in [
        (b"not an archive".to_vec(), "it cannot be read"),
        (demo(TEMPLATE)[..200].to_vec(), "it cannot be read"),
        (archive(&[("demo/values.yaml", VALUES)]), "it holds no Chart.yaml"),
        (archive(&[("demo/Chart.yaml", "name: other\nversion: 1.2.0\n")]), "it is the chart other 1.2.0"),
        (archive(&[("demo/Chart.yaml", "name: demo\nversion: 1.3.0\n")]), "it is the chart demo 1.3.0"),
        (archive(&[described, ("demo/../../etc/x", "")]), "leads out of it"),
        (archive(&[described, ("/etc/x", "")]), "leads out of it"),
        (archive(&[described, ("demo/values.yaml", &large)]), "has more than 8388608 bytes"),
        (archive(&[described, ("demo/files/bomb", &bomb)]), "bytes"),
        (archive(&[described, ("demo/values.yaml", "a: [")]), "is no YAML"),
    ] {
        stage.served.publish("1.2.0", &content, None);
        let error = stage.refused(&plain()).await;
        assert_eq!(error.reason(), "ChartUnusable", "{error}");
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn a_helm_that_misbehaves_is_told() {
    let directory = TempDir::new().unwrap();
    let none = Stage::new(directory.path().join("none")).await;
    assert_eq!(none.refused(&plain()).await.reason(), "HelmMissing");
    let unknown = Stage::new("no-such-helm".into()).await;
    assert!(unknown.refused(&plain()).await.to_string().contains("there is no no-such-helm in PATH"));
    let old = claimed(directory.path(), "");
    std::fs::write(&old, "#!/bin/sh\necho v3.17.0\n").unwrap();
    let error = Stage::new(old).await.refused(&plain()).await;
    assert!(error.to_string().contains("says that it is `v3.17.0`"), "{error}");

    let endless = claimed(directory.path(), "while :; do echo '- - - - - - - - - - - - - - - - - -'; done");
    let stage = Stage::new(endless).await;
    stage.served.publish("1.2.0", &demo(TEMPLATE), None);
    assert!(stage.refused(&plain()).await.to_string().contains("it prints more than"));
    let bare = claimed(directory.path(), "/usr/bin/env >&2; exit 1");
    let stage = Stage::new(bare).await;
    stage.served.publish("1.2.0", &demo(TEMPLATE), None);
    let error = stage.refused(&plain()).await.to_string();
    assert!(error.contains("HOME=") && !error.contains("CARGO"), "{error}");
}

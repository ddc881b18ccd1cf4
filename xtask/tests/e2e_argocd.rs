//! Argo CD itself judges what Helix publishes: its application controller and repo server, with a real Redis, a real API
//! server and a real Git repository that holds what `helix render --gitops` wrote of the full example, with the stand-in
//! charts.
//!
//! Nothing runs pods here, and there are no controllers but Argo CD's: what counts is that every object of the tree is
//! accepted, stays as it was written, and comes back when somebody changes it. Everything listens on loopback, but the
//! controller's metrics, whose address cannot be chosen.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::until;

/// The platform whose tree is judged.
const PLATFORM: &str = include_str!("../../manifests/examples/full.yaml");
/// Its directory in the repository.
const PLACE: &str = "work/clusters/prod";
/// As long as a program may take to answer on a busy machine.
const LONGEST_START: Duration = Duration::from_secs(90);
/// As long as all Applications may take, on two busy cores.
const LONGEST_SYNC: Duration = Duration::from_secs(600);
/// As long as a healing may take: the controller watches, and rests between two.
const LONGEST_HEALING: Duration = Duration::from_secs(120);

#[test]
fn argo_cd_syncs_the_tree_and_heals_what_is_changed() {
    let Some(definitions) = definitions() else { return };
    let mut judge = Judge::start();
    judge.kubectl(&["apply", "--server-side", "--filename", definitions.to_str().unwrap()]);
    judge.publish();
    judge.start_argo_cd();
    // Helix' own part: the namespace, the project and the root.
    let own = judge.root().join(PLACE).join("4-gitops-control-plane/argo-cd");
    for kind in ["namespace", "appproject", "application"] {
        for file in files(&own).into_iter().filter(|file| file_name(file).starts_with(kind)) {
            judge.kubectl(&["apply", "--server-side", "--filename", file.to_str().unwrap()]);
        }
    }

    let automated = automated(&judge.root().join(PLACE).join("applications"));
    assert!(automated.len() > 5, "{automated:?}");
    until("all Applications are Synced", LONGEST_SYNC, || {
        judge.play_the_database();
        let applications = judge.applications();
        let missing: Vec<String> = automated.iter().filter_map(|name| not_synced(&applications, name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    });
    // What Helix writes itself is shown, and nobody syncs it.
    let shown = &judge.applications()["cilium"];
    assert_eq!(shown["status"]["sync"]["status"], "OutOfSync");
    assert!(shown["status"]["operationState"].is_null());

    judge.heals();
}

/// The upstream definitions; they are not part of the project.
fn definitions() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/crds");
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "this test needs {}", path.display());
    eprintln!("skipped: this test needs {}", path.display());
    None
}

/// The Applications in a folder that Argo CD is to sync by itself, and the root.
fn automated(folder: &Path) -> Vec<String> {
    let applications = files(folder).into_iter().map(|file| {
        let text = fs::read_to_string(file).unwrap();
        serde_saphyr::from_str::<Value>(&text).unwrap()
    });
    let automated = applications.filter(|it| it["spec"]["syncPolicy"]["automated"].is_object());
    let names = automated.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned());
    names.chain(["helix".to_owned()]).collect()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// Why an Application does not count yet, if it does not.
fn not_synced(applications: &BTreeMap<String, Value>, name: &str) -> Option<String> {
    let Some(application) = applications.get(name) else { return Some(format!("{name} is not there")) };
    let status = &application["status"];
    let operation = &status["operationState"];
    let done = status["sync"]["status"] == "Synced" && (operation["phase"] == "Succeeded" || operation.is_null());
    (!done).then(|| format!("{name}: {} {} {}", status["sync"]["status"], operation["message"], status["conditions"]))
}

/// A cluster with Argo CD in front of it.
struct Judge {
    root: tempfile::TempDir,
    processes: Vec<Child>,
}

impl Judge {
    /// Starts etcd and the API server, and waits until that answers.
    fn start() -> Self {
        for variable in ["HELIX_BIN_DIR", "HELIX_TOOLS_DIR", "HELIX_HELM", "HELIX_ARGOCD"] {
            assert!(
                std::env::var_os(variable).is_some(),
                "{variable} is not set; run this test with `cargo xtask test`"
            );
        }
        let mut judge = Self { root: tempfile::tempdir().unwrap(), processes: Vec::new() };
        let port = free_port();
        fs::write(judge.root().join("tokens.csv"), "judge,admin,admin,system:masters\n").unwrap();
        judge.spawn(
            "etcd",
            kube().args([
                "etcd",
                "--name=judge",
                "--data-dir=etcd",
                "--listen-client-urls=unix://etcd.sock:0",
                "--advertise-client-urls=http://localhost:1",
                "--listen-peer-urls=unix://peers.sock:0",
                "--initial-advertise-peer-urls=http://localhost:1",
                "--initial-cluster=judge=http://localhost:1",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ]),
        );
        judge.spawn(
            "kube-apiserver",
            kube().args([
                "kube-apiserver",
                "--etcd-servers=unix://etcd.sock:0",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                &format!("--secure-port={port}"),
                "--cert-dir=certificates",
                "--token-auth-file=tokens.csv",
                "--authorization-mode=RBAC",
                // As on Talos: volumes are mounted by pods that may.
                "--allow-privileged=true",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=certificates/apiserver.key",
                "--service-account-signing-key-file=certificates/apiserver.key",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--endpoint-reconciler-type=none",
            ]),
        );
        judge.write_kubeconfig(port);
        until("the API server answers", LONGEST_START, || judge.try_kubectl(&["get", "--raw=/readyz"]));
        judge
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn write_kubeconfig(&self, port: u16) {
        let certificate = self.root().join("certificates/apiserver.crt");
        until("the API server has its certificate", LONGEST_START, || {
            if certificate.is_file() { Ok(()) } else { Err("no file") }
        });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "judge", "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": certificate,
            }}],
            "users": [{"name": "admin", "user": {"token": "judge"}}],
            "contexts": [{"name": "judge", "context": {"cluster": "judge", "user": "admin", "namespace": "argocd"}}],
            "current-context": "judge",
        });
        fs::write(self.root().join("kubeconfig"), config.to_string()).unwrap();
    }

    /// Has the tree of the platform rendered into a repository of its own.
    fn publish(&mut self) {
        let mut platform: Value = serde_saphyr::from_str(PLATFORM).unwrap();
        let repository = self.root().join("platform.git");
        platform["spec"]["gitops"]["repository"]["url"] = json!(format!("file://{}", repository.display()));
        fs::write(self.root().join("platform.yaml"), platform.to_string()).unwrap();
        self.git(&["init", "--quiet", "--bare", "--initial-branch=main", "platform.git"]);
        self.git(&["clone", "--quiet", "platform.git", "work"]);
        let mirror = format!("--mirror=*={}", self.start_charts());
        let rendered = self.render(&mirror);
        assert!(rendered.contains(" 0 removed"), "{rendered}");
        let again = self.render(&mirror);
        assert!(again.contains(" 0 written, 0 removed"), "rendered twice it is another: {again}");
        self.git(&["-C", "work", "add", "--all"]);
        self.git(&["-C", "work", "commit", "--quiet", "--message=tree"]);
        self.git(&["-C", "work", "push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Serves the stand-in charts, and tells where.
    fn start_charts(&mut self) -> String {
        let mut simulator = own_program("helix-sim");
        simulator.args(["--dir", "sim"]);
        self.spawn("helix-sim", &mut simulator);
        let control = self.root().join("sim/control.json");
        until("the charts are served", LONGEST_START, || {
            let control: Value =
                serde_json::from_str(&fs::read_to_string(&control).map_err(|error| error.to_string())?)
                    .map_err(|error| error.to_string())?;
            control["charts"].as_str().map(str::to_owned).ok_or_else(|| control.to_string())
        })
    }

    fn render(&self, mirror: &str) -> String {
        let helm = std::env::var("HELIX_HELM").unwrap();
        let mut helix = own_program("helix");
        helix.args(["render", "--file=platform.yaml", mirror, "--helm", &helm]);
        helix.arg("--cache-dir").arg(self.root().join("charts"));
        let started = Instant::now();
        let output = helix.arg("--gitops").arg(PLACE).current_dir(self.root()).output().unwrap();
        eprintln!("rendered in {:?}", started.elapsed());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Judge", "-c", "user.email=judge@example.com"]).args(arguments);
        git.current_dir(self.root()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.status().unwrap().success(), "git {arguments:?}");
    }

    /// Starts Redis, the repo server and the controller, with as much configuration as they cannot do without.
    fn start_argo_cd(&mut self) {
        self.kubectl(&["create", "namespace", "argocd"]);
        let labels = json!({"app.kubernetes.io/part-of": "argocd"});
        for (kind, name) in [("ConfigMap", "argocd-cm"), ("ConfigMap", "argocd-rbac-cm"), ("Secret", "argocd-secret")] {
            let metadata = json!({"name": name, "namespace": "argocd", "labels": labels});
            self.apply(&json!({"apiVersion": "v1", "kind": kind, "metadata": metadata}));
        }
        let (redis, repo_server) = (free_port(), free_port());
        let directory = self.root().to_str().unwrap().to_owned();
        let port = redis.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &directory]);
        self.spawn("redis", &mut command);
        let redis = format!("--redis=127.0.0.1:{redis}");
        let mut command = argocd("repo-server");
        command.args(["--address=127.0.0.1", "--metrics-address=127.0.0.1", "--disable-tls", &redis]);
        command.args([format!("--port={repo_server}"), format!("--metrics-port={}", free_port())]);
        self.spawn("repo-server", &mut command);
        until("the repo server listens", LONGEST_START, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, repo_server)).map(drop)
        });
        let mut command = argocd("application-controller");
        command.args(["--namespace=argocd", "--kubeconfig=kubeconfig", "--repo-server-plaintext", &redis]);
        command.args([format!("--repo-server=127.0.0.1:{repo_server}"), format!("--metrics-port={}", free_port())]);
        // Its own cluster is the one of the kubeconfig.
        command.env("ARGOCD_FAKE_IN_CLUSTER", "true").env("KUBECONFIG", self.root().join("kubeconfig"));
        self.spawn("application-controller", &mut command);
    }

    /// Nobody runs the database here: what its operator would tell of it once it is well.
    fn play_the_database(&self) {
        let status = json!({"status": {"phase": "Cluster in healthy state", "phaseReason": "", "instances": 3,
            "readyInstances": 3, "conditions": [{"type": "Ready", "status": "True", "reason": "ClusterIsReady",
            "message": "", "lastTransitionTime": "2026-11-21T12:00:00Z"}]}});
        let patch = format!("--patch={status}");
        let target = ["patch", "clusters.postgresql.cnpg.io", "main", "--namespace=databases"];
        // It is there only once it was synced.
        let _ = self.try_kubectl(&[&target[..], &["--subresource=status", "--type=merge", &patch]].concat());
    }

    /// Changes what Argo CD syncs, and takes something away: both come back.
    fn heals(&self) {
        let namespace =
            ["get", "namespace", "ollama", "--output=jsonpath={.metadata.labels.app\\.kubernetes\\.io/managed-by}"];
        assert_eq!(self.kubectl(&namespace), "helix");
        self.kubectl(&["label", "--overwrite", "namespace", "ollama", "app.kubernetes.io/managed-by=somebody"]);
        until("the label is back", LONGEST_HEALING, || match self.kubectl(&namespace) {
            label if label == "helix" => Ok(()),
            label => Err(label),
        });
        let deployment = ["get", "deployment", "--namespace=steel-browser", "--output=name"];
        let name = self.kubectl(&deployment);
        let name = name.lines().next().unwrap();
        self.kubectl(&["delete", "--namespace=steel-browser", name]);
        until("the Deployment is back", LONGEST_HEALING, || {
            if self.kubectl(&deployment).contains(name) { Ok(()) } else { Err("it is not there") }
        });
    }

    fn applications(&self) -> BTreeMap<String, Value> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", "applications", "--output=json"])).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| (item["metadata"]["name"].as_str().unwrap().to_owned(), item.clone())).collect()
    }

    fn apply(&self, object: &Value) {
        let path = self.root().join("object.json");
        fs::write(&path, object.to_string()).unwrap();
        self.kubectl(&["apply", "--filename", path.to_str().unwrap()]);
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}"))
    }

    fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut kubectl = kube();
        kubectl.arg("kubectl").arg("--kubeconfig").arg(self.root().join("kubeconfig"));
        kubectl.arg("--cache-dir").arg(self.root().join("kubectl")).args(arguments).stdin(Stdio::null());
        let output = kubectl.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Starts a program in the judge's directory, its output going to a file of its name.
    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = File::create(self.root().join(format!("{name}.log"))).unwrap();
        command.current_dir(self.root()).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.processes.push(command.spawn().unwrap_or_else(|error| panic!("{name}: {error}")));
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["application-controller", "repo-server", "kube-apiserver"] {
                let log = fs::read_to_string(self.root().join(format!("{name}.log"))).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                eprintln!("--- the end of {name}.log\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
        // The last first: an API server whose etcd is gone would not leave.
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn own_program(name: &str) -> Command {
    Command::new(Path::new(&std::env::var_os("HELIX_BIN_DIR").unwrap()).join(name))
}

fn kube() -> Command {
    Command::new(Path::new(&std::env::var_os("HELIX_TOOLS_DIR").unwrap()).join("kube"))
}

fn argocd(program: &str) -> Command {
    let mut command = Command::new(std::env::var_os("HELIX_ARGOCD").unwrap());
    command.arg(program).args(["--logformat=text", "--loglevel=warn"]);
    // No program for signatures is needed, and no network but the loopback.
    command.env("ARGOCD_GPG_ENABLED", "false");
    command
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

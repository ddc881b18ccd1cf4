//! A sandbox as a test sees it: from outside, by the files that `cargo xtask sandbox` leaves for people, with the built
//! kubectl, with plain HTTP for Hetzner's API and with the talosconfig.
//!
//! Every wait has an end, and a sandbox is stopped when it is dropped, however the test ends.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code)]

pub(crate) mod badges;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use helix_clients::talos::TalosClient;
use helix_engine::seams::{Talos, TalosCredentials, TalosRoute};
use helix_plan::observed::EtcdMember;
use helix_plan::secrets::Secret;
use serde_json::Value;

/// The namespace of the example platform.
pub(crate) const NAMESPACE: &str = "helix-system";

/// All that a platform makes at Hetzner.
pub(crate) const KINDS: [&str; 8] =
    ["servers", "load_balancers", "networks", "firewalls", "placement_groups", "ssh_keys", "primary_ips", "volumes"];

/// The sandbox's directory in the test's own.
const DIRECTORY: &str = "sandbox";

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(250);

/// The variables by which `cargo xtask test` says where the programs are.
const VARIABLES: [&str; 3] = ["HELIX_BIN_DIR", "HELIX_TOOLS_DIR", "HELIX_HELM"];

/// The directory that a variable names.
fn directory(variable: &str) -> PathBuf {
    let named = std::env::var_os(variable);
    let remedy = "run this test with `cargo xtask test`, which builds what it names";
    named.map(PathBuf::from).unwrap_or_else(|| panic!("{variable} is not set; {remedy}"))
}

/// The version of Kubernetes that the program `kube` in the directory of this variable is, as in `v1.36.3`.
pub(crate) fn kubernetes_version(variable: &str) -> String {
    let mut kubectl = Command::new(directory(variable).join("kube"));
    let output = kubectl.args(["kubectl", "version", "--client", "--output=json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["clientVersion"]["gitVersion"].as_str().unwrap().to_owned()
}

/// Which API server is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cluster {
    Management,
    Workload,
}

/// A sandbox that runs.
pub(crate) struct Sandbox {
    parent: tempfile::TempDir,
    /// What `cargo xtask sandbox` printed.
    pub(crate) said: String,
}

impl Sandbox {
    /// Nothing of it runs yet.
    pub(crate) fn prepared() -> Self {
        for variable in VARIABLES {
            directory(variable);
        }
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join(DIRECTORY)).unwrap();
        Self { parent, said: String::new() }
    }

    /// Brings one up, detached.
    pub(crate) fn up(arguments: &[&str]) -> Self {
        let mut sandbox = Self::prepared();
        let output = sandbox.xtask(arguments);
        sandbox.said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        sandbox
    }

    /// Brings it up in the foreground; what it says of its progress can be read from the child's standard error.
    pub(crate) fn foreground(&self) -> Child {
        let mut command = xtask();
        command.arg("--dir").arg(self.root());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// `cargo xtask sandbox --detach` in this sandbox's directory.
    pub(crate) fn xtask(&self, arguments: &[&str]) -> Output {
        let mut command = xtask();
        command.arg("--detach").arg("--dir").arg(self.root()).args(arguments);
        command.output().unwrap()
    }

    /// The sandbox's directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.parent.path().join(DIRECTORY)
    }

    /// A file of the sandbox.
    pub(crate) fn read(&self, relative: &str) -> String {
        let path = self.root().join(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Stops it; what is printed says whether anything ran.
    pub(crate) fn down(&self) -> String {
        let output = xtask().arg("down").arg("--dir").arg(self.root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn kubectl(&self, cluster: Cluster) -> Command {
        let mut kubectl = Command::new(directory("HELIX_TOOLS_DIR").join("kube"));
        let kubeconfig = match cluster {
            Cluster::Management => "management.kubeconfig",
            Cluster::Workload => "workload.kubeconfig",
        };
        kubectl.arg("kubectl").arg("--kubeconfig").arg(self.root().join(kubeconfig));
        kubectl.arg("--cache-dir").arg(self.parent.path().join("kubectl"));
        kubectl.arg("--request-timeout=5s").stdin(Stdio::null());
        kubectl
    }

    /// What kubectl does, or says against it.
    pub(crate) fn run(&self, cluster: Cluster, arguments: &[&str]) -> Result<String, String> {
        let output = self.kubectl(cluster).args(arguments).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// The program `helix` with the sandbox's management cluster: its exit code, what it prints, and what it says beside
    /// that.
    pub(crate) fn helix(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut helix = Command::new(directory("HELIX_BIN_DIR").join("helix"));
        helix.env("KUBECONFIG", self.root().join("management.kubeconfig")).stdin(Stdio::null());
        helix.env("XDG_CACHE_HOME", self.parent.path().join("cache"));
        let output = helix.args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// `kubectl get … --output=json`, or what it says against it.
    pub(crate) fn try_get(&self, cluster: Cluster, arguments: &[&str]) -> Result<Value, String> {
        let mut all = vec!["get", "--output=json"];
        all.extend(arguments);
        let text = self.run(cluster, &all)?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// `kubectl get … --output=json`.
    pub(crate) fn get(&self, cluster: Cluster, arguments: &[&str]) -> Value {
        self.try_get(cluster, arguments).unwrap()
    }

    /// The names of what `kubectl get` lists in the management cluster.
    pub(crate) fn names(&self, arguments: &[&str]) -> Vec<String> {
        let list = self.get(Cluster::Management, arguments);
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The platform; none when it is gone.
    pub(crate) fn platform(&self, name: &str) -> Option<Value> {
        let namespace = format!("--namespace={NAMESPACE}");
        let list = self.get(Cluster::Management, &["helixplatforms", &namespace]);
        let items = list["items"].as_array().unwrap();
        items.iter().find(|platform| platform["metadata"]["name"] == name).cloned()
    }

    /// Waits until the operator says that all of the platform is Ready.
    pub(crate) fn until_ready(&self, name: &str, longest: Duration) {
        until(&format!("{name} is Ready"), longest, || {
            let platform = self.platform(name).ok_or("it is gone")?;
            let status = &platform["status"];
            let current = status["observedGeneration"] == platform["metadata"]["generation"];
            if status["phase"] == "Ready" && current {
                Ok(())
            } else {
                Err(format!("phase {}, waiting for {}", status["phase"], status["waitingFor"]))
            }
        });
    }

    /// Asks for the platform's deletion.
    pub(crate) fn delete(&self, name: &str) {
        let namespace = format!("--namespace={NAMESPACE}");
        self.run(Cluster::Management, &["delete", "hp", name, &namespace, "--wait=false"]).unwrap();
    }

    /// Waits until the platform is gone; nothing is left then at the simulated Hetzner but what is others'.
    pub(crate) fn until_gone(&self, name: &str, longest: Duration, others: &[&str]) {
        until("the platform is gone", longest, || match self.platform(name) {
            None => Ok(()),
            Some(platform) => Err(platform["status"]["waitingFor"].clone()),
        });
        let left = KINDS.iter().flat_map(|kind| self.resources(kind));
        assert_eq!(left.map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), others);
    }

    /// Writes `workload.kubeconfig` and `talosconfig` where `cargo xtask sandbox` was not there to do it.
    pub(crate) fn fetch_credentials(&self, name: &str) {
        let namespace = format!("--namespace={NAMESPACE}");
        for (kind, file) in [("kubeconfig", "workload.kubeconfig"), ("talosconfig", "talosconfig")] {
            let secret = self.get(Cluster::Management, &["secret", &format!("{name}-{kind}"), &namespace]);
            let decoded = STANDARD.decode(secret["data"]["value"].as_str().unwrap()).unwrap();
            fs::write(self.root().join(file), decoded).unwrap();
        }
    }

    /// The variables of `hetzner.env`.
    pub(crate) fn hetzner_env(&self) -> BTreeMap<String, String> {
        let text = self.read("hetzner.env");
        let pairs = text.lines().map(|line| line.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Calls the simulated Hetzner API: status and body.
    pub(crate) fn hetzner(&self, method: &str, path: &str) -> (u16, Value) {
        let env = self.hetzner_env();
        http(method, &format!("{}{path}", env["HCLOUD_ENDPOINT"]), &env["HCLOUD_TOKEN"], "")
    }

    /// The same with a body.
    pub(crate) fn hetzner_with(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let env = self.hetzner_env();
        let url = format!("{}{path}", env["HCLOUD_ENDPOINT"]);
        http(method, &url, &env["HCLOUD_TOKEN"], &body.to_string())
    }

    /// All resources of a kind at the simulated Hetzner.
    pub(crate) fn resources(&self, kind: &str) -> Vec<Value> {
        let (status, body) = self.hetzner("GET", &format!("/{kind}?per_page=50"));
        assert_eq!(status, 200, "{body}");
        body[kind].as_array().unwrap().clone()
    }

    /// The servers by their names. Two of one name would be a defect that a map hides.
    pub(crate) fn servers(&self) -> BTreeMap<String, Value> {
        let servers = self.resources("servers");
        let count = servers.len();
        let by_name: BTreeMap<_, _> =
            servers.into_iter().map(|server| (server["name"].as_str().unwrap().to_owned(), server)).collect();
        assert_eq!(by_name.len(), count, "two servers of one name");
        by_name
    }

    /// The members of etcd, asked for with the sandbox's talosconfig.
    pub(crate) fn etcd_members(&self) -> Result<Vec<EtcdMember>, String> {
        let config: Value = serde_saphyr::from_str(&self.read("talosconfig")).unwrap();
        let context = &config["contexts"][config["context"].as_str().unwrap()];
        let pem = |field: &str| {
            let encoded = context[field].as_str().unwrap();
            String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
        };
        let credentials = Arc::new(TalosCredentials {
            ca_pem: pem("ca"),
            certificate_pem: pem("crt"),
            key_pem: Secret::new(pem("key")),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = TalosClient::default();
        let mut failure = "the talosconfig names no endpoint".to_owned();
        for endpoint in context["endpoints"].as_array().unwrap() {
            let route = TalosRoute {
                endpoint: endpoint.as_str().unwrap().parse().unwrap(),
                node: None,
                credentials: Arc::clone(&credentials),
            };
            match runtime.block_on(client.etcd_members(&route)) {
                Ok(members) => return Ok(members),
                Err(error) => failure = error.to_string(),
            }
        }
        Err(failure)
    }

    /// How many processes of the program of this name run from the tools in the directory of this variable.
    pub(crate) fn running(&self, program: &str, variable: &str) -> usize {
        let kube = directory(variable).join("kube").canonicalize().unwrap();
        let is_one = |pid: &&u32| {
            let is_kube = fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == kube);
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            is_kube && arguments.split(|byte| *byte == 0).nth(1) == Some(program.as_bytes())
        };
        self.processes().iter().filter(is_one).count()
    }

    /// Process ids of everything that carries this sandbox's mark, as Linux knows them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = format!("HELIX_SANDBOX={}", self.root().canonicalize().unwrap().display());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let marked = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        pids.filter(marked).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            for program in ["helix-operator", "helix-sim"] {
                let log = fs::read_to_string(self.root().join(format!("logs/{program}.log"))).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                eprintln!("--- the end of {program}.log\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            }
        }
        // Nothing is left to do about a sandbox that was never made or can't be stopped.
        let _ = xtask().arg("down").arg("--dir").arg(self.root()).output();
    }
}

fn xtask() -> Command {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.arg("sandbox").stdin(Stdio::null());
    xtask
}

/// Looks until there is an answer; panics with the last reason against it when the time is over.
pub(crate) fn until<Answer, Reason: std::fmt::Display>(
    what: &str,
    longest: Duration,
    mut look: impl FnMut() -> Result<Answer, Reason>,
) -> Answer {
    let deadline = Instant::now() + longest;
    loop {
        match look() {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() > deadline => panic!("not within {longest:?}: {what}: {reason}"),
            Err(_) => thread::sleep(TICK),
        }
    }
}

/// A request, by nothing that Helix itself uses.
fn http(method: &str, url: &str, token: &str, body: &str) -> (u16, Value) {
    http_as(method, url, &format!("Bearer {token}"), body)
}

/// The same with another way to say who asks.
fn http_as(method: &str, url: &str, authorization: &str, body: &str) -> (u16, Value) {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

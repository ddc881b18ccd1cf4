//! The operator as a process, with what it needs in the management cluster. It ends with the test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api_server::ApiServer;

/// Where the operator's role is at home.
pub(crate) const NAMESPACE: &str = "helix-system";

const PATIENCE: Duration = Duration::from_secs(60);

/// Applies the resource definitions, the namespace and the role, and waits until the definitions serve.
pub(crate) async fn install(client: &Client) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    apply(client, &namespace).await;
    for definition in helix_crds::crds() {
        apply(client, &serde_json::to_value(definition).unwrap()).await;
    }
    let role = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/operator-rbac.yaml");
    let role = std::fs::read_to_string(role).unwrap();
    for document in role.split("\n---\n") {
        apply(client, &serde_saphyr::from_str::<Value>(document).unwrap()).await;
    }
    let deadline = Instant::now() + PATIENCE;
    for plural in ["helixplatforms", "helixmachines"] {
        let list = || http::Request::get(format!("/apis/helix.dev/v1alpha1/{plural}")).body(Vec::new()).unwrap();
        while let Err(error) = client.request_text(list()).await {
            assert!(Instant::now() < deadline, "{plural}: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn apply(client: &Client, object: &Value) {
    let object = DynamicObject::deserialize(object).unwrap();
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = object.metadata.name.clone().unwrap();
    api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.unwrap();
}

/// A running operator.
pub(crate) struct Program {
    process: Child,
    dir: TempDir,
    address: String,
}

impl Program {
    /// Starts it as the service account of its role, and waits until it serves.
    pub(crate) async fn start(server: &ApiServer, arguments: &[&str]) -> Self {
        let dir = TempDir::with_prefix("helix-operator-").unwrap();
        let (kubeconfig, address_file) = (dir.path().join("kubeconfig"), dir.path().join("address"));
        std::fs::write(&kubeconfig, self::kubeconfig(server).to_string()).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_helix-operator"))
            .arg("--listen=127.0.0.1:0")
            .arg("--address-file")
            .arg(&address_file)
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut program = Self { process, dir, address: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while !address_file.exists() {
            assert!(Instant::now() < deadline && program.process.try_wait().unwrap().is_none(), "{}", program.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program.address = std::fs::read_to_string(address_file).unwrap().trim().to_owned();
        program
    }

    /// What it answers: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let (address, path) = (self.address.clone(), path.to_owned());
        let request = move || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = tokio::task::spawn_blocking(request).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Waits for an answer.
    pub(crate) async fn wait_until(&self, path: &str, body: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if answer.1 == body {
                return;
            }
            assert!(Instant::now() < deadline, "{path} answers {answer:?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks it to stop, and checks that it does, well and in time, and that its log holds no token.
    pub(crate) async fn stop_cleanly(mut self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(10), self.process.wait()).await;
        let log = self.log();
        assert!(ended.unwrap_or_else(|_| panic!("it goes on\n{log}")).unwrap().success(), "{log}");
        assert!(!log.contains("not-a-real-token"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Ends it without a word.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// An administrator who acts as the operator's service account: exactly its role counts.
fn kubeconfig(server: &ApiServer) -> Value {
    let route = server.route(&server.bundle);
    let user = json!({
        "client-certificate-data": STANDARD.encode(&route.credentials.certificate_pem),
        "client-key-data": STANDARD.encode(route.credentials.key_pem.expose()),
        "as": format!("system:serviceaccount:{NAMESPACE}:helix-operator"),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": route.endpoint,
            "certificate-authority-data": STANDARD.encode(&route.credentials.ca_pem),
        }}],
        "users": [{"name": "operator", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator", "namespace": NAMESPACE}}],
        "current-context": "test",
    })
}

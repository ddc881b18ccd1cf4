//! A real Prometheus beside a sandbox, for badges to be observed by: it scrapes the operator and the API server of the
//! platform's own cluster, and has two rules for alerts. It is Debian's, or whichever `prometheus` is in PATH.
//!
//! It keeps what it scrapes for an hour in the sandbox's directory, and knows nothing of pods.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::management::free_port;
use crate::sandbox::operator;
use crate::sandbox::supervisor::Supervisor;

/// Where it says how it is reached, once it listens.
pub(crate) const URL: &str = "prometheus.url";

/// What it is called among the processes of a sandbox.
const PROCESS: &str = "prometheus";

/// As long as it may take to listen on a busy machine.
const LONGEST_START: Duration = Duration::from_secs(60);

/// Starts it, and waits until it listens.
///
/// # Errors
/// Without the program, without the operator's address or the cluster's kubeconfig, or when it does not listen in time.
pub(crate) fn start(supervisor: &mut Supervisor) -> Result<(), Error> {
    let directory = supervisor.directory().clone();
    let targets = [operator_job(&directory)?, api_server_job(&directory)?];
    let configuration = json!({
        "global": {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "2s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": targets,
    });
    // JSON is YAML, and Prometheus reads it as such.
    directory.write("prometheus/prometheus.yml", &format!("{configuration:#}\n"))?;
    directory.write("prometheus/rules.yml", &format!("{:#}\n", rules()))?;
    let port = free_port()?;
    let mut command = Command::new(PROCESS);
    command.current_dir(directory.path("prometheus")).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=1h",
        "--log.level=warn",
    ]);
    command.arg(format!("--web.listen-address={}:{port}", Ipv4Addr::LOCALHOST));
    eprintln!("==> Prometheus");
    supervisor.start(PROCESS, &mut command)?;
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    supervisor.wait("Prometheus", LONGEST_START, listens)?;
    directory.write(URL, &format!("http://{}:{port}\n", Ipv4Addr::LOCALHOST))?;
    Ok(())
}

/// What alerts: a platform that is not as it is to be, and a target that does not answer.
fn rules() -> Value {
    let rule =
        |name: &str, expression: &str| json!({"alert": name, "expr": expression, "labels": {"severity": "warning"}});
    json!({"groups": [{"name": "helix", "rules": [
        rule("HelixPlatformNotReady", "helix_platform_ready == 0"),
        rule("TargetDown", "up == 0"),
    ]}]})
}

fn operator_job(directory: &Directory) -> Result<Value, Error> {
    let path = directory.path(operator::ADDRESS);
    let address = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    Ok(json!({"job_name": "helix-operator", "scrape_interval": "1s", "scrape_timeout": "1s",
        "static_configs": [{"targets": [address.trim()]}]}))
}

/// The API server of the platform's cluster, by the administrator's certificate.
fn api_server_job(directory: &Directory) -> Result<Value, Error> {
    let path = directory.path("workload.kubeconfig");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let unusable = |problem: &str| Error::Content { path: path.clone(), problem: problem.to_owned() };
    let kubeconfig: Value = serde_saphyr::from_str(&text).map_err(|_| unusable("it is no kubeconfig"))?;
    let (cluster, user) = (&kubeconfig["clusters"][0]["cluster"], &kubeconfig["users"][0]["user"]);
    for (field, file) in [
        (&cluster["certificate-authority-data"], "authority.pem"),
        (&user["client-certificate-data"], "client.pem"),
        (&user["client-key-data"], "client.key"),
    ] {
        let decoded = field.as_str().and_then(|text| STANDARD.decode(text).ok());
        let pem = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pem = pem.ok_or_else(|| unusable("it holds no certificates of an administrator"))?;
        directory.write(&format!("prometheus/{file}"), &pem)?;
    }
    let server = cluster["server"].as_str().and_then(|server| server.strip_prefix("https://"));
    let server = server.ok_or_else(|| unusable("its server is not https"))?;
    Ok(json!({"job_name": "apiserver", "scheme": "https", "static_configs": [{"targets": [server]}],
        "tls_config": {"ca_file": "authority.pem", "cert_file": "client.pem", "key_file": "client.key"}}))
}

//! Hetzner's API as the project's simulator gives it, in a process of its own. It ends with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A running simulator with one empty project.
pub(crate) struct Hetzner {
    pub(crate) endpoint: String,
    pub(crate) token: String,
    _process: Child,
    _dir: TempDir,
}

impl Hetzner {
    /// Starts it, if the tests' environment says where the project's programs are.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = std::env::var_os("HELIX_BIN_DIR").map(PathBuf::from) else {
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "CI must set HELIX_BIN_DIR");
            eprintln!("this part needs HELIX_BIN_DIR (`cargo xtask test` sets it) and has checked nothing");
            return None;
        };
        let dir = TempDir::with_prefix("helix-hetzner-").unwrap();
        let process = Command::new(programs.join("helix-sim"))
            .arg("--dir")
            .arg(dir.path())
            .arg("--time-scale=20")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let told = told(&dir.path().join("control.json")).await;
        let text = |key: &str| told[key].as_str().unwrap().to_owned();
        Some(Self { endpoint: text("hetznerEndpoint"), token: text("token"), _process: process, _dir: dir })
    }
}

async fn told(file: &Path) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(text) = std::fs::read_to_string(file) {
            return serde_json::from_str(&text).unwrap();
        }
        assert!(Instant::now() < deadline, "the simulator does not come up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

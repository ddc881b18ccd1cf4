//! `helix-sim` as a program: it says where it listens, and leaves when it is told to.

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Kills the program if the test fails before it has ended by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended: that is what the test wants.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> Running {
    let arguments = ["--time-scale", "20", "--dir"];
    Running(Command::new(env!("CARGO_BIN_EXE_helix-sim")).args(arguments).arg(dir).spawn().unwrap())
}

fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn control(dir: &Path) -> Value {
    let read = || std::fs::read_to_string(dir.join("control.json")).ok();
    serde_json::from_str(&poll("starting", read)).unwrap()
}

fn stop(mut program: Running, signal: Signal) -> ExitStatus {
    kill(Pid::from_raw(i32::try_from(program.0.id()).unwrap()), signal).unwrap();
    poll("stopping", || program.0.try_wait().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_simulators_run_side_by_side_and_leave_on_a_signal() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    std::fs::write(dirs[0].path().join("control.json"), "stale").unwrap();
    let programs = dirs.each_ref().map(|dir| start(dir.path()));
    let found = [1, 0].map(|index: usize| {
        let text = || std::fs::read_to_string(dirs[index].path().join("control.json")).ok();
        poll("starting", || text().filter(|text| text != "stale"));
        control(dirs[index].path())
    });
    assert_ne!(found[0]["block"], found[1]["block"]);
    for control in &found {
        let url = format!("{}/servers", control["hetznerEndpoint"].as_str().unwrap());
        let client = reqwest::Client::new();
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 401);
        let answered = client.get(&url).bearer_auth(control["token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(answered.status().as_u16(), 200);
        let store = control["objectStorage"]["endpoint"].as_str().unwrap();
        assert_eq!(client.get(format!("{store}/sandbox-backups/a")).send().await.unwrap().status().as_u16(), 403);
    }
    let [first, second] = programs;
    assert!(stop(first, Signal::SIGTERM).success());
    assert!(stop(second, Signal::SIGINT).success());
}

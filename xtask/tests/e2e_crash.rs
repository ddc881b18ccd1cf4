//! The operator is killed, as by `kill -9`, at random moments of one creation and one deletion. The end is the same as
//! without: every server once, one cluster, and afterwards nothing.
//!
//! The moments come from a seed that is printed; `HELIX_SEED` takes another.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Cluster, Sandbox, until};

/// The example platform.
const NAME: &str = "sandbox";

/// Over both, creation and deletion.
const KILLS: usize = 30;

/// Of these, those that the deletion must be left with.
const KILLS_OF_DELETION: usize = 8;

/// As long as the rest may take once nobody kills any more.
const LONGEST: Duration = Duration::from_secs(300);

/// Slow enough for all the kills to fall into it.
const TIME_SCALE: &str = "--time-scale=4";

#[test]
fn kill_9_anywhere_and_the_end_is_the_same() {
    let mut moments = Moments::seeded();
    let sandbox = Sandbox::up(&["--without-operator", TIME_SCALE]);
    let mut operator = Operator::start(&sandbox);

    let mut kills = 0;
    while kills < KILLS - KILLS_OF_DELETION && !is_ready(&sandbox) {
        operator = operator.killed_after(moments.next(), &sandbox);
        kills += 1;
        // Never two of one name, at any moment: the map of servers insists.
        sandbox.servers();
    }
    println!("{kills} kills during the creation");
    sandbox.until_ready(NAME, LONGEST);
    is_one_cluster(&sandbox);

    sandbox.delete(NAME);
    let mut of_deletion = 0;
    while kills < KILLS && sandbox.platform(NAME).is_some() {
        // A deletion is short: the moments are closer together, or it would be over before they have come.
        operator = operator.killed_after(moments.next() / 2, &sandbox);
        kills += 1;
        of_deletion += 1;
    }
    println!("{of_deletion} kills during the deletion");
    sandbox.until_gone(NAME, LONGEST, &[]);
    drop(operator);
    assert!(kills >= KILLS, "only {kills} kills before all was done: make it slower");
}

fn is_ready(sandbox: &Sandbox) -> bool {
    sandbox.platform(NAME).is_some_and(|platform| platform["status"]["phase"] == "Ready")
}

fn is_one_cluster(sandbox: &Sandbox) {
    let names: Vec<_> = sandbox.servers().into_keys().collect();
    let wanted = ["cp-0", "cp-1", "cp-2", "general-0", "general-1"].map(|machine| format!("{NAME}-{machine}"));
    assert_eq!(names, wanted);
    let counts: BTreeMap<_, _> = ["networks", "load_balancers", "ssh_keys"]
        .into_iter()
        .map(|kind| (kind, sandbox.resources(kind).len()))
        .collect();
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    sandbox.fetch_credentials(NAME);
    let members = until("etcd lists its members", LONGEST, || sandbox.etcd_members());
    let mut voters: Vec<_> = members.iter().filter(|member| !member.learner).map(|member| &member.hostname).collect();
    voters.sort_unstable();
    assert_eq!(voters, wanted[..3].iter().collect::<Vec<_>>(), "{members:?}");
    let nodes = sandbox.get(Cluster::Workload, &["nodes"]);
    assert_eq!(nodes["items"].as_array().unwrap().len(), wanted.len(), "{nodes}");
}

/// An operator that is killed when it is dropped.
struct Operator {
    child: Child,
}

impl Operator {
    fn start(sandbox: &Sandbox) -> Self {
        let log: File =
            OpenOptions::new().create(true).append(true).open(sandbox.root().join("logs/helix-operator.log")).unwrap();
        let program = std::path::Path::new(&std::env::var_os("HELIX_BIN_DIR").unwrap()).join("helix-operator");
        let control: serde_json::Value = serde_json::from_str(&sandbox.read("control.json")).unwrap();
        let child = Command::new(program)
            .args(["--listen=127.0.0.1:0", "--log-format=pretty"])
            .arg("--helm")
            .arg(std::env::var_os("HELIX_HELM").unwrap())
            .arg(format!("--mirror=*={}", control["charts"].as_str().unwrap()))
            .env("KUBECONFIG", sandbox.root().join("management/operator.kubeconfig"))
            .env("NO_PROXY", "127.0.0.0/8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Lets it live for a while, kills it, and starts the next.
    fn killed_after(mut self, lifetime: Duration, sandbox: &Sandbox) -> Self {
        let deadline = Instant::now() + lifetime;
        while Instant::now() < deadline {
            assert_eq!(self.child.try_wait().unwrap(), None, "the operator ended by itself");
            thread::sleep(Duration::from_millis(10).min(deadline.saturating_duration_since(Instant::now())));
        }
        drop(self);
        Self::start(sandbox)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // On Unix this is SIGKILL.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Random moments, the same for the same seed.
struct Moments {
    state: u64,
}

impl Moments {
    fn seeded() -> Self {
        let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        let seed: u64 = std::env::var("HELIX_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
        println!("HELIX_SEED={seed}");
        Self { state: seed | 1 }
    }

    /// From a tenth of a second, in the midst of the start, to three seconds, over several passes.
    fn next(&mut self) -> Duration {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        Duration::from_millis(100 + random % 2900)
    }
}

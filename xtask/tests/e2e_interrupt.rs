//! A sandbox in the foreground ends without leaving a process behind, whether by Ctrl-C in the midst of it or by
//! `cargo xtask sandbox down` from another shell.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Sandbox, until};

/// As long as stopping may take.
const LONGEST: Duration = Duration::from_secs(30);

#[test]
fn ctrl_c_and_down_leave_nothing_running() {
    let sandbox = Sandbox::prepared();

    let mut interrupted = sandbox.foreground();
    // By then real etcd members and API servers run below the simulator.
    read_until(&mut interrupted, "joining etcd");
    assert!(sandbox.processes().len() > 6, "{:?}", sandbox.processes());
    kill(Pid::from_raw(interrupted.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert!(!end_of(&mut interrupted).success(), "whoever waited for it to be Ready waited in vain");
    assert_eq!(sandbox.processes(), Vec::<u32>::new());

    let mut stopped = sandbox.foreground();
    read_until(&mut stopped, "==> Ready");
    assert!(sandbox.down().contains("stopped"));
    assert!(end_of(&mut stopped).success());
    assert_eq!(sandbox.processes(), Vec::<u32>::new());
}

/// Reads what the command says of its progress, and from then on lets it talk without listening.
fn read_until(child: &mut Child, word: &str) {
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.by_ref().map_while(Result::ok) {
        said += &line;
        said.push('\n');
        if line.contains(word) {
            std::thread::spawn(move || lines.for_each(drop));
            return;
        }
    }
    panic!("it never said {word:?} but:\n{said}");
}

fn end_of(child: &mut Child) -> ExitStatus {
    until("the command has ended", LONGEST, || child.try_wait().unwrap().ok_or("it still runs"))
}

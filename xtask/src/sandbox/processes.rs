//! The processes of a sandbox: starting them so that they outlive this command, knowing them again, stopping them all.
//!
//! Each carries the sandbox's directory in its environment, and so does everything that it starts in turn. That is how
//! they are found: a process id alone may meanwhile be somebody else's, and a simulator that was killed leaves children
//! that no one noted. The notes in `pids/` say which of them is which, for people and for the order of stopping.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;
use crate::process;
use crate::sandbox::directory::Directory;

/// The environment variable that marks a sandbox's processes with its directory.
const MARK: &str = "HELIX_SANDBOX";

/// The order of stopping: each before what it needs. An API server whose etcd is gone does not end when asked to.
const ORDER: [&str; 5] = ["prometheus", "helix-operator", "helix-sim", "kube-apiserver", "etcd"];

/// Is there from when a sandbox is being stopped, for the command that watches over it to know why they end.
const STOPPING: &str = "pids/stopping";

/// How long a process may take to end by itself; the simulator stops its own children meanwhile.
const GRACE: Duration = Duration::from_secs(15);

/// How often is looked.
const TICK: Duration = Duration::from_millis(50);

/// The processes that this command has started. Dropping it stops none of them.
pub(crate) struct Processes {
    directory: Directory,
    children: Vec<(String, Child)>,
}

impl Processes {
    /// None yet.
    pub(crate) fn of(directory: &Directory) -> Self {
        Self { directory: directory.clone(), children: Vec::new() }
    }

    /// Starts a program under a name, in a process group of its own so that the terminal's Ctrl-C does not reach it,
    /// its output going to `logs/<name>.log` and its process id to `pids/<name>`.
    ///
    /// # Errors
    /// [`Error::Start`] when it can't be started, [`Error::File`] when log or note can't be written.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command) -> Result<(), Error> {
        let log = open_log(&self.directory, name)?;
        let errors = log.try_clone().map_err(Error::file("open", self.directory.path("logs")))?;
        mark(command, &self.directory).stdout(log).stderr(errors);
        let child = process::start(command)?;
        self.directory.write(&format!("pids/{name}"), &format!("{}\n", child.id()))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// Nothing is to end before it is told to.
    ///
    /// # Errors
    /// [`Error::Ended`] for the first that has.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        for (name, child) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Error::Ended {
                    program: name.clone(),
                    status,
                    log: self.directory.path(&format!("logs/{name}.log")),
                });
            }
        }
        Ok(())
    }
}

/// Readies a command to be one of the sandbox's processes.
pub(crate) fn mark<'command>(command: &'command mut Command, directory: &Directory) -> &'command mut Command {
    command
        .env(MARK, directory.root())
        // Everything that a sandbox talks to is on loopback, whatever proxy the user's shell names.
        .env("NO_PROXY", "127.0.0.0/8,localhost")
        .env("no_proxy", "127.0.0.0/8,localhost")
        // Logs are read in files.
        .env("NO_COLOR", "1")
        .process_group(0)
        .stdin(Stdio::null())
}

fn open_log(directory: &Directory, name: &str) -> Result<File, Error> {
    let path = directory.path(&format!("logs/{name}.log"));
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(&path).map_err(Error::file("open", path))
}

/// Whether anything of the sandbox runs.
pub(crate) fn any(directory: &Directory) -> bool {
    !all(directory).is_empty()
}

/// Whether the sandbox is being stopped, by whomever.
pub(crate) fn is_stopping(directory: &Directory) -> bool {
    directory.path(STOPPING).exists()
}

/// Stops everything of the sandbox, whoever has started it: asks in order, and kills what does not listen or was never
/// noted. Ends within about a minute and a half.
///
/// # Errors
/// [`Error::Unstoppable`] when something is still there at the end.
pub(crate) fn stop(directory: &Directory) -> Result<(), Error> {
    // Stopping does not depend on the note: without a folder for it there is no sandbox, but maybe a process.
    let _ = directory.write(STOPPING, "");
    for name in ORDER {
        if let Some(pid) = noted(directory, name) {
            signal(pid, Signal::SIGTERM);
            wait(GRACE, || !belongs(pid, directory));
        }
        // Killed rather than left for later: what is next in order may be what it would hang on.
        if let Some(pid) = noted(directory, name) {
            signal(pid, Signal::SIGKILL);
            wait(GRACE, || !belongs(pid, directory));
        }
    }
    let swept = wait(GRACE, || {
        let left = all(directory);
        left.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
        left.is_empty()
    });
    if !swept {
        let left: Vec<_> = all(directory).iter().map(Pid::to_string).collect();
        return Err(Error::Unstoppable { processes: left.join(", ") });
    }
    for name in ORDER {
        // A note of what no longer runs misleads nobody who checks it, so one that can't be removed may stay.
        let _ = fs::remove_file(directory.path(&format!("pids/{name}")));
    }
    Ok(())
}

/// The process of a note, if it runs and is the sandbox's.
fn noted(directory: &Directory, name: &str) -> Option<Pid> {
    let note = fs::read_to_string(directory.path(&format!("pids/{name}"))).ok()?;
    let pid = Pid::from_raw(note.trim().parse().ok()?);
    belongs(pid, directory).then_some(pid)
}

/// Every process of the sandbox.
fn all(directory: &Directory) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|pid| belongs(*pid, directory))
        .collect()
}

/// Whether a process is the sandbox's. One that has ended is not, even while its parent has not taken notice.
fn belongs(pid: Pid, directory: &Directory) -> bool {
    let Ok(environment) = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")) else {
        return false;
    };
    let root = directory.root().as_os_str().as_bytes();
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))
        .any(|value| value == root)
}

fn signal(pid: Pid, signal: Signal) {
    // It may have ended in between, which is what is wanted.
    let _ = kill(pid, signal);
}

/// Looks until `done` or until the time is over, and says which.
fn wait(longest: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + longest;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(TICK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn sandbox(parent: &tempfile::TempDir, name: &str) -> Directory {
        let directory = Directory::make(&parent.path().join(name)).unwrap();
        directory.renew().unwrap();
        directory
    }

    #[test]
    fn what_is_deaf_or_was_never_noted_is_stopped_and_a_neighbour_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let (mine, other) = (sandbox(&parent, "mine"), sandbox(&parent, "other"));
        let (mut my_processes, mut other_processes) = (Processes::of(&mine), Processes::of(&other));
        // A simulator that leaves a child of another group behind when it is asked to end.
        let leaves_child = "setsid sleep 600 & exec sleep 600";
        my_processes.start("helix-sim", &mut shell(leaves_child)).unwrap();
        other_processes.start("etcd", &mut shell("exec sleep 600")).unwrap();
        wait(GRACE, || all(&mine).len() == 2);
        my_processes.check().unwrap();
        stop(&mine).unwrap();
        assert!(!any(&mine));
        assert!(any(&other));
        assert!(matches!(my_processes.check(), Err(Error::Ended { .. })));
        other_processes.check().unwrap();
        stop(&other).unwrap();
        assert!(!any(&other));
    }

    #[test]
    fn a_note_of_somebody_elses_process_stops_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let directory = sandbox(&parent, "mine");
        directory.write("pids/etcd", &format!("{}\n", std::process::id())).unwrap();
        stop(&directory).unwrap();
        assert!(!directory.path("pids/etcd").exists());
    }
}

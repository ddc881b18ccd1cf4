//! Child processes that never outlive their owner's wish: each has a group of its own, a log file and a note of its
//! process id, and is killed when its handle is dropped.
//!
//! A killed simulator cannot kill; [`sweep`] ends what an earlier one left behind in the same directory.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Where the notes of process ids are kept, within the simulator's directory.
const NOTES: &str = "processes";

/// A program that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {program}: {source}")]
pub(super) struct StartError {
    program: String,
    source: io::Error,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    note: PathBuf,
}

impl Process {
    /// Starts `program` of the tool `kube` with its output appended to `log_path`.
    ///
    /// # Errors
    /// Where a file cannot be written or the program cannot be started.
    pub(super) fn start(
        kube: &Path,
        program: &str,
        arguments: &[String],
        root: &Path,
        log_path: &Path,
    ) -> Result<Self, StartError> {
        let started = || -> io::Result<Self> {
            let notes = root.join(NOTES);
            std::fs::create_dir_all(&notes)?;
            let log = open_log(log_path)?;
            let child = Command::new(kube)
                .arg(program)
                .args(arguments)
                .current_dir(root)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            let id = child.id().unwrap_or_default();
            let note = notes.join(id.to_string());
            std::fs::write(&note, format!("{program}\n{}\n", log_path.display()))?;
            Ok(Self { child, group: i32::try_from(id).ok().map(Pid::from_raw), note })
        };
        started().map_err(|source| StartError { program: program.to_owned(), source })
    }

    /// Runs `program` to its end, with its output appended to `log_path`; killed when nobody waits for it any more.
    ///
    /// # Errors
    /// As [`Process::start`], and where it ends badly.
    pub(super) async fn complete(
        kube: &Path,
        program: &str,
        arguments: &[String],
        root: &Path,
        log_path: &Path,
    ) -> Result<(), StartError> {
        let mut process = Self::start(kube, program, arguments, root, log_path)?;
        let failed = |source| StartError { program: program.to_owned(), source };
        match process.child.wait().await.map_err(failed)? {
            status if status.success() => Ok(()),
            status => Err(failed(io::Error::other(format!("it ended with {status}; see {}", log_path.display())))),
        }
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it, as a power cut would, and waits until it is gone.
    pub(super) async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        // Nothing is to be done about a child that cannot be waited for.
        let _ = self.child.wait().await;
    }

    fn signal(&self, signal: Signal) {
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            // It may have ended in between.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        // A note that stays is looked at, and dropped, by the next sweep.
        let _ = std::fs::remove_file(&self.note);
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Kills what an earlier simulator left running in `root`: processes noted there whose arguments still name it.
///
/// # Errors
/// Where the notes cannot be read.
pub fn sweep(root: &Path) -> io::Result<()> {
    let notes = root.join(NOTES);
    if !notes.is_dir() {
        return Ok(());
    }
    for note in std::fs::read_dir(&notes)? {
        let note = note?.path();
        let id = note.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
        if let Some(id) = id.filter(|id| *id > 1 && belongs_to(*id, root)) {
            // It may end in between.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        std::fs::remove_file(note)?;
    }
    Ok(())
}

/// Whether the process with this id is one of `root`'s: ids are used again.
fn belongs_to(id: i32, root: &Path) -> bool {
    let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let root = root.as_os_str().as_encoded_bytes();
    !root.is_empty() && arguments.windows(root.len()).any(|window| window == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that names `root` among its arguments and does nothing for long.
    async fn idle(root: &Path) -> Process {
        let script = format!("sleep 600; : {}", root.display());
        let process = Process::start(Path::new("/bin/sh"), "-c", &[script], root, &root.join("log")).unwrap();
        let id = i32::try_from(process.child.id().unwrap()).unwrap();
        // The kernel shows its arguments a moment after it has started.
        while !belongs_to(id, root) {
            tokio::task::yield_now().await;
        }
        process
    }

    fn lives(id: u32) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    async fn until_gone(id: u32) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while lives(id) {
            assert!(std::time::Instant::now() < deadline, "process {id} still runs");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_dropped_process_is_killed_and_its_note_goes() {
        let root = tempfile::tempdir().unwrap();
        let process = idle(root.path()).await;
        let id = process.child.id().unwrap();
        assert!(lives(id));
        drop(process);
        until_gone(id).await;
        assert_eq!(std::fs::read_dir(root.path().join(NOTES)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_sweep_ends_what_was_left_behind() {
        let root = tempfile::tempdir().unwrap();
        let process = idle(root.path()).await;
        let id = process.child.id().unwrap();
        std::mem::forget(process);
        sweep(root.path()).unwrap();
        until_gone(id).await;
    }

    #[test]
    fn a_note_of_a_foreign_process_harms_nobody() {
        let root = tempfile::tempdir().unwrap();
        let notes = root.path().join(NOTES);
        std::fs::create_dir_all(&notes).unwrap();
        std::fs::write(notes.join(std::process::id().to_string()), "etcd").unwrap();
        sweep(root.path()).unwrap();
        assert_eq!(std::fs::read_dir(notes).unwrap().count(), 0);
    }
}

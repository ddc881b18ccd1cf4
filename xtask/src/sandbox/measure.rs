//! What only a running sandbox can show: how soon a platform is there, and how much memory the operator takes for many.
//!
//! It measures and compares with nothing; goals are the bench's.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::Error;
use crate::repository::Repository;
use crate::sandbox::operator;
use crate::sandbox::programs::Programs;
use crate::sandbox::stage::Stage;
use crate::sandbox::supervisor::Supervisor;
use crate::sandbox::{EXAMPLE, Following, Left, within};

/// The example with all six phases.
const FULL: &str = "manifests/examples/full.yaml";

/// As in the sandbox.
const TIME_SCALE: f64 = 20.0;

/// So many platforms with so many machines each are the load under which memory is measured: one control plane each,
/// because every one of them is a real etcd and a real API server.
const PLATFORMS: u32 = 20;
const CONTROL_PLANES: u32 = 1;
const WORKERS: u32 = 9;

/// What the clusters of that load take, in GiB: a real etcd and a real API server with its companions take half of one.
const NEEDED_GIB: f64 = 12.0;

/// How long nothing is done before memory is read.
const SETTLING: Duration = Duration::from_secs(30);

/// When a platform, and when many, are given up.
const LONGEST_ONE: Duration = Duration::from_secs(600);
const LONGEST_MANY: Duration = Duration::from_secs(1_200);

/// How often many platforms are counted.
const COUNTING: Duration = Duration::from_secs(5);

/// Seconds from applying the example platform until it is Ready.
///
/// # Errors
/// As a sandbox's, or when the platform is not Ready in time.
pub(crate) fn seconds_to_ready(repository: &Repository, programs: &Programs, directory: &Path) -> Result<f64, Error> {
    seconds_to(EXAMPLE, repository, programs, directory)
}

/// Seconds from applying the full example until all six phases are Ready.
///
/// # Errors
/// As [`seconds_to_ready`].
pub(crate) fn seconds_to_all_phases(
    repository: &Repository,
    programs: &Programs,
    directory: &Path,
) -> Result<f64, Error> {
    seconds_to(FULL, repository, programs, directory)
}

fn seconds_to(example: &str, repository: &Repository, programs: &Programs, directory: &Path) -> Result<f64, Error> {
    let mut seconds = 0.0;
    within(directory, |supervisor| {
        let stage = Stage::set(supervisor, repository, programs, TIME_SCALE)?;
        stage.start_operator(supervisor, programs)?;
        let platform = stage.read(&repository.path(example))?;
        let applied = Instant::now();
        stage.apply(&platform)?;
        Following::start(supervisor, stage.kubectl(), &platform)?.until_end(Some(LONGEST_ONE))?;
        seconds = applied.elapsed().as_secs_f64();
        Ok(Left::ToBeStopped)
    })?;
    Ok(seconds)
}

/// MiB of memory that the operator has resident while it holds [`PLATFORMS`] platforms that are Ready.
///
/// # Errors
/// As a sandbox's, when the machine has too little memory for that many clusters, or they are not Ready in time.
pub(crate) fn operator_memory(repository: &Repository, programs: &Programs, directory: &Path) -> Result<f64, Error> {
    let available = gibibytes_available()?;
    if available < NEEDED_GIB {
        return Err(Error::TooLittleMemory { needed: NEEDED_GIB, available });
    }
    let mut resident = 0.0;
    within(directory, |supervisor| {
        let stage = Stage::set(supervisor, repository, programs, TIME_SCALE)?;
        stage.start_operator(supervisor, programs)?;
        let example = stage.read(&repository.path(EXAMPLE))?;
        for number in 0..PLATFORMS {
            stage.apply(&example.resized(&format!("load{number}"), CONTROL_PLANES, WORKERS))?;
        }
        until_all_ready(supervisor, &stage)?;
        let settled = Instant::now() + SETTLING;
        while Instant::now() < settled {
            supervisor.next(settled.saturating_duration_since(Instant::now()))?;
        }
        let note = supervisor.directory().path("pids").join(operator::PROCESS);
        let id = fs::read_to_string(&note).map_err(Error::file("read", note))?;
        resident = kibibytes(&format!("/proc/{}/status", id.trim()), "VmRSS")? / 1_024.0;
        Ok(Left::ToBeStopped)
    })?;
    Ok(resident)
}

/// Waits until every platform and every machine of the load is Ready.
fn until_all_ready(supervisor: &mut Supervisor, stage: &Stage<'_>) -> Result<(), Error> {
    let wanted = (PLATFORMS as usize, (PLATFORMS * (CONTROL_PLANES + WORKERS)) as usize);
    let began = Instant::now();
    let mut told = (0, 0);
    loop {
        let platforms = stage.kubectl().json(&["get", "helixplatforms", "--all-namespaces"])?;
        let machines = stage.kubectl().json(&["get", "helixmachines", "--all-namespaces"])?;
        let ready = (count(&platforms, platform_is_ready), count(&machines, machine_is_ready));
        if ready != told {
            let seconds = began.elapsed().as_secs_f64();
            eprintln!("{seconds:7.1} s  {} of {} platforms, {} of {} machines", ready.0, wanted.0, ready.1, wanted.1);
            told = ready;
        }
        if ready == wanted {
            return Ok(());
        }
        if began.elapsed() > LONGEST_MANY {
            return Err(Error::NotReady {
                what: format!("a load of {PLATFORMS} platforms ({} are Ready)", ready.0),
                seconds: LONGEST_MANY.as_secs(),
                logs: supervisor.directory().path("logs"),
            });
        }
        supervisor.next(COUNTING)?;
    }
}

fn count(list: &Value, is_ready: fn(&Value) -> bool) -> usize {
    list["items"].as_array().into_iter().flatten().filter(|item| is_ready(item)).count()
}

fn platform_is_ready(platform: &Value) -> bool {
    platform["status"]["phase"] == "Ready"
        && platform["status"]["observedGeneration"] == platform["metadata"]["generation"]
}

fn machine_is_ready(machine: &Value) -> bool {
    machine["status"]["ready"] == true
}

fn gibibytes_available() -> Result<f64, Error> {
    Ok(kibibytes("/proc/meminfo", "MemAvailable")? / 1_024.0 / 1_024.0)
}

/// A line `NAME:  N kB` of one of the system's files.
fn kibibytes(file: &str, name: &str) -> Result<f64, Error> {
    let text = fs::read_to_string(file).map_err(Error::file("read", file))?;
    read_kibibytes(&text, name)
        .ok_or_else(|| Error::Content { path: file.into(), problem: format!("it has no line `{name}: … kB`") })
}

fn read_kibibytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn memory_is_read_from_its_own_line() {
        let text = "Name:\thelix\nVmRSSx:\t     1 kB\nVmRSS:\t   20480 kB\nThreads:\t4\n";
        assert_eq!(read_kibibytes(text, "VmRSS"), Some(20_480.0));
        assert_eq!(read_kibibytes(text, "Threads"), None);
        assert_eq!(read_kibibytes(text, "VmSwap"), None);
    }

    #[test]
    fn only_what_is_ready_in_its_present_form_counts() {
        let platform = |phase: &str, observed: u32| json!({"metadata": {"generation": 2}, "status": {"phase": phase, "observedGeneration": observed}});
        let list =
            json!({"items": [platform("Ready", 2), platform("Ready", 1), platform("ImmutableSubstrate", 2), {}]});
        assert_eq!(count(&list, platform_is_ready), 1);
        let list = json!({"items": [{"status": {"ready": true}}, {"status": {"ready": false}}, {}]});
        assert_eq!(count(&list, machine_is_ready), 1);
    }
}

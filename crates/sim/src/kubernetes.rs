//! Real Kubernetes behind the simulated machines: etcd, API server, controller manager and scheduler as processes with
//! what the machine configurations carry, and a kubelet of the simulator's own for each node.
//!
//! Expected flow: [`run`] follows the world; a machine that is up and configured gets its tasks, one that loses power
//! loses them and with them its processes. What lies on a machine's disk stays until the server is deleted or wiped.
//! What differs from Talos is listed in the crate's README.

mod add_ons;
mod api;
mod argo_cd;
mod arguments;
mod control_plane;
mod etcd;
mod files;
mod join;
mod kubelet;
mod manifests;
mod node;
mod operators;
mod pod_network;
mod pods;
mod process;
mod programs;
mod references;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use api::{Api, ApiError, Body};
pub use etcd::Etcd;
pub use process::sweep;

use self::control_plane::ControlPlane;
use self::files::Site;
use self::kubelet::Kubelet;
use self::programs::Programs;
use crate::talos::machines::Machines;
use crate::world::machine::config::Role;
use crate::world::machine::{Guest, Membership};
use crate::world::{ServerId, TimeScale};

/// What the processes of all machines share.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The machines.
    pub machines: Machines,
    /// The programs that are etcd and Kubernetes by their first argument, one for each version of
    /// Kubernetes; the first is for whatever none of the others is, and gives etcd.
    pub kube: Arc<[PathBuf]>,
    /// Everything is written below this directory.
    pub root: Arc<Path>,
    /// By how much latencies are shortened.
    pub scale: TimeScale,
}

/// A machine that is up, in one boot with one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Running {
    boot_id: String,
    ephemeral: u32,
    role: Role,
}

/// The tasks of one machine; dropping them ends what they run.
struct Tasks {
    running: Running,
    handles: Vec<JoinHandle<()>>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.abort();
        }
    }
}

impl Tasks {
    /// Ends them and waits until nothing of theirs runs any more.
    async fn end(mut self) {
        for handle in std::mem::take(&mut self.handles) {
            handle.abort();
            // It was aborted, and says so.
            let _ = handle.await;
        }
    }
}

/// Follows the world until told to stop; then everything that was started has ended.
///
/// # Errors
/// Where an earlier run's leftovers in the directory cannot be cleared away.
pub async fn run(setting: Setting, stop: CancellationToken) -> io::Result<()> {
    // The processes run in a directory of their own.
    let setting = Setting { root: std::path::absolute(&setting.root)?.into(), ..setting };
    let programs = Programs::at(&setting.kube).await?;
    sweep(&setting.root)?;
    setting.machines.ask(|guests, _| guests.set_membership(Membership::Processes));
    let mut changes = setting.machines.changes();
    let mut tasks: BTreeMap<ServerId, Tasks> = BTreeMap::new();
    let mut disks: BTreeSet<ServerId> = BTreeSet::new();
    loop {
        follow(&setting, &programs, &mut tasks).await;
        disks.extend(tasks.keys());
        scrap(&setting, &mut disks).await;
        tokio::select! {
            () = stop.cancelled() => break,
            change = changes.recv() => if change.is_none() { break },
        }
        while changes.try_recv().is_ok() {}
    }
    for (_, tasks) in tasks {
        tasks.end().await;
    }
    Ok(())
}

/// Starts what is missing and ends what is too much.
async fn follow(setting: &Setting, programs: &Programs, tasks: &mut BTreeMap<ServerId, Tasks>) {
    let mut wanted: BTreeMap<ServerId, Running> = setting
        .machines
        .look(|guests, _| guests.iter().filter_map(|guest| Some((guest.host().server, running(guest)?))).collect());
    let stale: Vec<ServerId> = tasks
        .iter()
        .filter(|(server, it)| wanted.get(server) != Some(&it.running))
        .map(|(server, _)| *server)
        .collect();
    for server in stale {
        if let Some(tasks) = tasks.remove(&server) {
            tasks.end().await;
        }
    }
    wanted.retain(|server, _| !tasks.contains_key(server));
    for (server, running) in wanted {
        if let Some(handles) = start(setting, programs, server, &running) {
            tasks.insert(server, Tasks { running, handles });
        }
    }
}

/// Removes the disks of servers that are gone.
async fn scrap(setting: &Setting, disks: &mut BTreeSet<ServerId>) {
    let gone: Vec<ServerId> = setting
        .machines
        .look(|guests, _| disks.iter().filter(|server| guests.get(**server).is_none()).copied().collect());
    for server in gone {
        disks.remove(&server);
        // What cannot be removed is in nobody's way: ids are not used again.
        let _ = tokio::fs::remove_dir_all(disk(&setting.root, server)).await;
    }
}

fn running(guest: &Guest) -> Option<Running> {
    guest.is_up().then_some(())?;
    Some(Running { boot_id: guest.boot_id().to_owned(), ephemeral: guest.ephemeral_generation(), role: guest.role()? })
}

fn disk(root: &Path, server: ServerId) -> PathBuf {
    root.join("machines").join(server.to_string())
}

fn start(setting: &Setting, programs: &Programs, server: ServerId, running: &Running) -> Option<Vec<JoinHandle<()>>> {
    let dir = disk(&setting.root, server).join(running.ephemeral.to_string());
    let site = setting.machines.look_at(server, |guest, _| Site {
        dir,
        address: guest.host().address,
        told_addresses: vec![guest.host().public_ipv4, guest.host().private_ipv4],
        hostname: guest.hostname().to_owned(),
        root: setting.root.to_path_buf(),
    })?;
    let mut handles = vec![tokio::spawn(Kubelet::new(setting.clone(), server, site.clone()).run())];
    if running.role == Role::ControlPlane {
        handles.push(tokio::spawn(ControlPlane::new(setting.clone(), programs.clone(), server, site.clone()).run()));
        handles.push(tokio::spawn(add_ons::watch(setting.clone(), server, site.clone())));
        handles.push(tokio::spawn(pod_network::serve(setting.clone(), site.clone())));
        handles.push(tokio::spawn(operators::watch(setting.clone(), server, site.clone())));
        handles.push(tokio::spawn(argo_cd::watch(setting.clone(), server, site)));
    }
    Some(handles)
}

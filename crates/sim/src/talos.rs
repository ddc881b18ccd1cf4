//! Talos behind sockets: one API port for each simulated machine, as apid and machined would serve it.
//!
//! Expected flow: [`serve`] follows the world and opens, changes and closes ports as machines boot, are configured and
//! go. Every call ends in [`crate::world::machine`], which decides; here are TLS, roles, routing and the wire.
//! What it deliberately doesn't do: anything that neither Helix nor a test calls.

mod answers;
pub mod caller;
mod credentials;
mod events;
mod lifecycle;
mod listener;
mod machine_service;
pub mod machines;
mod membership;
pub mod pki;
mod resources;
mod route;
mod state;
pub mod tls;
pub mod wire;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use listener::PORT;

use self::listener::Listener;
use self::machines::Machines;
use crate::world::ServerId;
use crate::world::machine::Apid;

/// How long a port that could not be opened is left alone.
const RETRY: Duration = Duration::from_millis(500);

/// What a port demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Demand {
    address: Ipv4Addr,
    apid: Apid,
    epoch: u64,
}

/// An open port.
struct Port {
    demand: Demand,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

/// Serves the ports of all machines until told to stop; then all are closed.
pub async fn serve(machines: Machines, stop: CancellationToken) {
    let mut changes = machines.changes();
    let mut ports: BTreeMap<ServerId, Port> = BTreeMap::new();
    loop {
        let complete = follow(&machines, &mut ports).await;
        tokio::select! {
            () = stop.cancelled() => break,
            change = changes.recv() => if change.is_none() { break },
            () = tokio::time::sleep(RETRY), if !complete => {}
        }
        while changes.try_recv().is_ok() {}
    }
    for port in ports.into_values() {
        cut(port).await;
    }
}

/// Cuts every connection, as a power cut does.
async fn cut(port: Port) {
    port.task.abort();
    // It was aborted, and says so.
    let _ = port.task.await;
}

/// Closes a port whose machine lives on: what it was asked last is still answered.
async fn close(port: Port) {
    port.closing.cancel();
    if let Err(error) = port.task.await {
        tracing::error!(%error, "an API port ended badly");
    }
}

/// Closes what demands something else now, and opens what is missing; whether nothing is.
async fn follow(machines: &Machines, ports: &mut BTreeMap<ServerId, Port>) -> bool {
    let demands: BTreeMap<ServerId, Demand> = machines.look(|guests, _| {
        guests
            .iter()
            .filter(|guest| guest.apid() != Apid::Closed)
            .map(|guest| {
                let demand = Demand { address: guest.host().address, apid: guest.apid(), epoch: guest.epoch() };
                (guest.host().server, demand)
            })
            .collect()
    });
    let stale: Vec<ServerId> = ports
        .iter()
        .filter(|(server, port)| demands.get(server) != Some(&port.demand))
        .map(|(server, _)| *server)
        .collect();
    for server in stale {
        let lives = machines.look_at(server, |guest, _| guest.has_power()).unwrap_or_default();
        match ports.remove(&server) {
            Some(port) if lives => close(port).await,
            Some(port) => cut(port).await,
            None => {}
        }
    }
    let mut complete = true;
    for (server, demand) in demands {
        if ports.contains_key(&server) {
            continue;
        }
        match Listener::open(machines.clone(), server, demand.address, demand.apid).await {
            Ok(listener) => {
                let closing = CancellationToken::new();
                let task = tokio::spawn(listener.run(closing.clone()));
                ports.insert(server, Port { demand, closing, task });
            }
            Err(error) => {
                complete = false;
                tracing::debug!(%server, %error, "the API port stays closed for now");
            }
        }
    }
    complete
}

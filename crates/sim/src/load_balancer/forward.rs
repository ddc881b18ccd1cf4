//! Forwarding: a listener per service that hands each connection to a healthy target in turn.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedWorld;
use crate::world::ServerId;
use crate::world::load_balancers::{Algorithm, Backend, Frontend};

/// Until a target must have taken the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to listen on a port that something else holds.
const RETRY: Duration = Duration::from_millis(500);

/// Whose turn it is, and who has how many connections.
#[derive(Debug, Default)]
struct Rotation {
    turn: usize,
    open: BTreeMap<ServerId, usize>,
}

impl Rotation {
    fn choose(&mut self, algorithm: Algorithm, backends: &[Backend]) -> Option<Backend> {
        let backend = match algorithm {
            Algorithm::RoundRobin => backends.get(self.turn.checked_rem(backends.len())?).copied(),
            Algorithm::LeastConnections => {
                backends.iter().copied().min_by_key(|backend| self.open.get(&backend.server).copied().unwrap_or(0))
            }
        }?;
        self.turn = self.turn.wrapping_add(1);
        *self.open.entry(backend.server).or_default() += 1;
        Some(backend)
    }

    fn release(&mut self, server: ServerId) {
        if let Some(open) = self.open.get_mut(&server) {
            *open = open.saturating_sub(1);
        }
    }
}

/// Listens until it is told to stop; then its connections are cut.
pub(super) async fn listen(world: SharedWorld, frontend: Frontend, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let rotation = Arc::new(Mutex::new(Rotation::default()));
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept_forever(&world, frontend, &rotation, &connections, &stop) => {}
    }
    connections.close();
    connections.wait().await;
}

async fn accept_forever(
    world: &SharedWorld,
    frontend: Frontend,
    rotation: &Arc<Mutex<Rotation>>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    let listener = bind((frontend.address, frontend.listen_port).into()).await;
    loop {
        let (client, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, balancer = %frontend.balancer, "a connection could not be accepted");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let (world, rotation, stop) = (world.clone(), Arc::clone(rotation), stop.clone());
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = serve(&world, frontend, &rotation, client, peer) => if let Err(error) = ended {
                    tracing::debug!(%error, balancer = %frontend.balancer, "a forwarded connection ended");
                }
            }
        });
    }
}

async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%error, %address, "a load balancer cannot listen yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Forwards one connection. Without a healthy target it is closed at once.
async fn serve(
    world: &SharedWorld,
    frontend: Frontend,
    rotation: &Mutex<Rotation>,
    mut client: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    let IpAddr::V4(source) = peer.ip() else { return Ok(()) };
    let Some((backend, port)) = choose(world, frontend, rotation, source) else { return Ok(()) };
    let target = SocketAddr::from((backend.address, port));
    let forwarded = async {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(frontend.address, target)).await;
        let mut server = connected.map_err(io::Error::from)??;
        tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
    };
    let _held = Held { rotation, server: backend.server };
    forwarded.await
}

/// Counts a connection until it is dropped, however it ends.
struct Held<'a> {
    rotation: &'a Mutex<Rotation>,
    server: ServerId,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner).release(self.server);
    }
}

fn choose(
    world: &SharedWorld,
    frontend: Frontend,
    rotation: &Mutex<Rotation>,
    source: Ipv4Addr,
) -> Option<(Backend, u16)> {
    let (algorithm, port, backends) = world.with(|world, _| {
        let balancer = world.load_balancer(frontend.project, frontend.balancer).ok()?;
        let port = balancer.services.get(&frontend.listen_port)?.destination_port;
        let admitted = world.reaches_load_balancer(source, &frontend);
        let backends = world.healthy_backends(frontend.project, frontend.balancer, frontend.listen_port);
        admitted.then_some((balancer.algorithm, port, backends))
    })?;
    let backend = rotation.lock().unwrap_or_else(PoisonError::into_inner).choose(algorithm, &backends)?;
    Some((backend, port))
}

/// Connects from a given address, so that the target's firewall knows the load balancer.
pub(super) async fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backends() -> Vec<Backend> {
        (1..=3).map(|n| Backend { server: ServerId(n), address: Ipv4Addr::new(127, 64, 0, 1) }).collect()
    }

    #[test]
    fn connections_go_round() {
        let (mut rotation, backends) = (Rotation::default(), backends());
        let chosen: Vec<u64> =
            (0..4).filter_map(|_| rotation.choose(Algorithm::RoundRobin, &backends)).map(|b| b.server.0).collect();
        assert_eq!(chosen, [1, 2, 3, 1]);
        assert_eq!(rotation.choose(Algorithm::RoundRobin, &[]), None);
    }

    #[test]
    fn the_least_busy_is_chosen() {
        let (mut rotation, backends) = (Rotation::default(), backends());
        for _ in 0..3 {
            rotation.choose(Algorithm::LeastConnections, &backends);
        }
        rotation.release(ServerId(2));
        assert_eq!(rotation.choose(Algorithm::LeastConnections, &backends).map(|b| b.server), Some(ServerId(2)));
    }
}

//! Figures of whole lives on the in-process world: time against the critical path, and calls of Hetzner's API.

use std::time::Duration;

use helix_crds::{ApprovalMode, HelixPlatform};
use helix_sim::inprocess::Universe;
use helix_sim::inprocess::fleet::Fleet;
use helix_sim::inprocess::life::Life;
use helix_sim::lives::run;
use helix_sim::lives::scenarios::SCENARIOS;
use helix_sim::world::latencies::Span;
use helix_sim::world::machine::{AddOns, GuestLatencies};
use helix_sim::world::{Latencies, WorldConfig};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::figure::Figure;

/// The platform that is made; the number of workers is filled in.
const PLATFORM: &str = include_str!("../../../../../manifests/examples/sandbox.yaml");

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A platform of three control planes and so many workers.
pub(crate) fn platform(workers: u32) -> Result<HelixPlatform, String> {
    let mut platform: HelixPlatform = serde_saphyr::from_str(PLATFORM).map_err(|error| error.to_string())?;
    platform.metadata.uid = Some("00000000-0000-4000-8000-000000000001".to_owned());
    platform.metadata.generation = Some(1);
    for pool in &mut platform.spec.worker_pools {
        pool.replicas = Some(workers);
    }
    Ok(platform)
}

/// No latency is a whole number of seconds: the engine looks every second, and would otherwise seem to look just when
/// something has happened.
const OFF_BEAT: Duration = Duration::from_millis(370);

/// A bit more than the longest of each latency, every time, so that the critical path can be told beforehand.
fn fixed() -> Latencies {
    let fix = |span: Span| Span { from: span.to + OFF_BEAT, to: span.to + OFF_BEAT };
    let seen = Latencies::default();
    let guest = GuestLatencies {
        boot: fix(seen.guest.boot),
        configure: fix(seen.guest.configure),
        container_runtime: fix(seen.guest.container_runtime),
        kubelet: fix(seen.guest.kubelet),
        etcd_start: fix(seen.guest.etcd_start),
        etcd_promote: fix(seen.guest.etcd_promote),
        static_pods: fix(seen.guest.static_pods),
        register_node: fix(seen.guest.register_node),
        go_down: fix(seen.guest.go_down),
        ..seen.guest
    };
    Latencies { create_server: fix(seen.create_server), start_server: fix(seen.start_server), guest, ..seen }
}

/// What nobody could be faster than: the first control plane founds etcd, the others join one after the other, and the
/// last one's API server starts once it votes. Nodes need an API server before. Network and load balancer are not in it:
/// Hetzner names their addresses when it takes the order.
fn critical_path(latencies: &Latencies) -> Duration {
    let guest = &latencies.guest;
    let founded = latencies.create_server.to
        + latencies.start_server.to
        + guest.boot.to
        + guest.configure.to
        + guest.container_runtime.to
        + guest.etcd_start.to;
    let joined = founded + 2 * (guest.etcd_start.to + guest.etcd_promote.to);
    joined.max(founded + guest.register_node.to) + guest.static_pods.to
}

/// A platform that has just become Ready.
fn made(workers: u32) -> Result<Life, String> {
    let config = WorldConfig { seed: 1, latencies: fixed(), ..WorldConfig::default() };
    let mut life = Life::new(Universe::new(config, Timestamp::UNIX_EPOCH), platform(workers)?);
    life.until_ready(DAY).map_err(|ended| ended.to_string())?;
    Ok(life)
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

pub(crate) fn overhead() -> Result<Vec<Figure>, String> {
    let path = critical_path(&fixed()).as_secs_f64();
    [2, 96]
        .into_iter()
        .map(|workers| {
            let ratio = made(workers)?.passed().as_secs_f64() / path;
            Ok(Figure::new(format!("engine-overhead-3+{workers}"), ratio, "x critical path", 1.10))
        })
        .collect()
}

pub(crate) fn calls_per_server() -> Result<Vec<Figure>, String> {
    let (few, many) = (made(2)?.universe().counts().hetzner, made(96)?.universe().counts().hetzner);
    let per_server = (number(many) - number(few)) / 94.0;
    Ok(vec![Figure::new("hetzner-calls-per-further-server", per_server, "calls", 1.2)])
}

/// Platforms of three control planes and so many workers each, all of one token, that have just become Ready.
fn fleet(platforms: u32, workers: u32) -> Result<Fleet, String> {
    let config = WorldConfig { seed: 1, latencies: fixed(), ..WorldConfig::default() };
    fleet_in(config, platforms, workers)
}

fn fleet_in(config: WorldConfig, platforms: u32, workers: u32) -> Result<Fleet, String> {
    // Hetzner raises a project's limit of servers on request.
    let server_limit = platforms as usize * (workers as usize + 3);
    let config = WorldConfig { server_limit, ..config };
    let member = |number: u32| {
        let mut platform = platform(workers)?;
        platform.metadata.name = Some(format!("fleet{number}"));
        platform.metadata.uid = Some(format!("00000000-0000-4000-8000-{number:012}"));
        Ok(platform)
    };
    let members = (0..platforms).map(member).collect::<Result<_, String>>()?;
    let mut fleet = Fleet::new(Universe::new(config, Timestamp::UNIX_EPOCH), members);
    fleet.until_ready(DAY).map_err(|ended| ended.to_string())?;
    Ok(fleet)
}

/// Five large platforms of one token, made at the same time: calls in all, and time against the critical path.
pub(crate) fn five_on_one_token() -> Result<Vec<Figure>, String> {
    let fleet = fleet(5, 96)?;
    let counts = fleet.universe().counts();
    if counts.refused_by_limit > 0 {
        return Err(format!("{} requests were more than the token allows", counts.refused_by_limit));
    }
    let ratio = fleet.passed().as_secs_f64() / critical_path(&fixed()).as_secs_f64();
    Ok(vec![
        Figure::new("one-token-5x99-calls", number(counts.hetzner), "calls", 3_600.0),
        Figure::new("one-token-5x99-time", ratio, "x critical path", 1.10),
    ])
}

/// What nobody could be faster than: control planes one after the other, each until its API server serves; then so many
/// rounds of workers, each until its kubelet reports. Images are written at once here.
fn critical_path_of_upgrade(latencies: &Latencies, rounds: u32) -> Duration {
    let guest = &latencies.guest;
    let up = guest.go_down.to + guest.boot.to + guest.configure.to + guest.container_runtime.to;
    let serves = guest.etcd_start.to + guest.static_pods.to;
    3 * (up + serves.max(guest.kubelet.to)) + rounds * (up + guest.kubelet.to)
}

/// Three control planes and twenty workers, at most three of which may be away at a time, from one Talos to the next.
pub(crate) fn rolling_upgrade() -> Result<Vec<Figure>, String> {
    const NEXT: &str = "v1.14.4";
    const AWAY: i32 = 3;
    const ROUNDS: u32 = 7;
    let config = WorldConfig { seed: 1, latencies: fixed(), ..WorldConfig::default() };
    let mut platform = platform(20)?;
    platform.spec.approval = ApprovalMode::Automatic;
    platform.spec.upgrade.max_unavailable = IntOrString::Int(AWAY);
    let mut life = Life::new(Universe::new(config, Timestamp::UNIX_EPOCH), platform);
    let ready = |life: &mut Life| life.until_ready(DAY).map_err(|ended| ended.to_string());
    ready(&mut life)?;
    life.universe().with_world(|world, _, now| {
        let serving = world.guests().iter().find(|guest| guest.api_server_healthy()).map(|guest| guest.host().server);
        let add_ons = AddOns { pod_network: true, cloud_controller: true };
        serving.map(|server| world.guests_mut(now).set_add_ons(server, add_ons, now))
    });
    ready(&mut life)?;
    let before = life.passed();
    life.edit(|platform| NEXT.clone_into(&mut platform.spec.versions.talos));
    ready(&mut life)?;
    let path = critical_path_of_upgrade(&fixed(), ROUNDS).as_secs_f64();
    let ratio = (life.passed() - before).as_secs_f64() / path;
    Ok(vec![Figure::new("rolling-talos-upgrade-3+20", ratio, "x critical path", 1.10)])
}

/// What an hour in which nothing happens takes of a token's budget, for 1,000 machines on 20 platforms.
pub(crate) fn steady_hour() -> Result<Vec<Figure>, String> {
    const BUDGET: f64 = 3_600.0;
    let mut fleet = fleet(20, 47)?;
    let before = fleet.universe().counts().hetzner;
    fleet.pass(SignedDuration::from_hours(1));
    let share = number(fleet.universe().counts().hetzner - before) / BUDGET * 100.0;
    Ok(vec![Figure::new("steady-hour-1000-machines", share, "% of a token's budget", 20.0)])
}

/// A hundred platforms of fifty machines each, all Ready for an hour, and all kept by this process.
///
/// The token allows more than Hetzner's does while they are made: that takes hours of its budget, which are measured
/// elsewhere.
fn a_hundred_platforms() -> Result<Fleet, String> {
    let config = WorldConfig { seed: 1, latencies: fixed(), requests_per_hour: 100_000, ..WorldConfig::default() };
    let mut fleet = fleet_in(config, 100, 47)?;
    fleet.pass(SignedDuration::from_hours(1));
    Ok(fleet)
}

/// What an operator with a hundred platforms of fifty machines holds, and how soon it acts on a change.
///
/// Memory is what this process has resident: the engine's memories, its reading of the project, and every platform with its
/// status; and, because it is one process, all of the simulated world, which an operator does not hold. It shows nothing of
/// what only a process with sockets has: connections, certificates, and the objects that it watches.
///
/// The change meets the worst moment: all other platforms are due, too, and have their turns before. It is the time of that
/// work one after the other, the answers of the world included; how long the API server takes to tell the operator of the
/// change, and the network, are not in it.
pub(crate) fn a_hundred_on_one_operator() -> Result<Vec<Figure>, String> {
    let mut fleet = a_hundred_platforms()?;
    let resident = mebibytes_resident()?;
    let began = std::time::Instant::now();
    let called = fleet.change_last_in_row(|platform| {
        for pool in &mut platform.spec.worker_pools {
            pool.replicas = pool.replicas.map(|replicas| replicas + 1);
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    if !called {
        return Err("a changed platform has called nobody".to_owned());
    }
    Ok(vec![
        Figure::new("operator-100x50-memory-in-process", resident, "MiB", 256.0),
        Figure::new("operator-100x50-change-to-first-call", seconds, "s", 1.0),
    ])
}

/// Memory of this process, as the system tells it.
fn mebibytes_resident() -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kibibytes: f64 = line.and_then(|text| text.parse().ok()).ok_or("/proc/self/status does not tell VmRSS")?;
    Ok(kibibytes / 1_024.0)
}

/// The calls of an hour in which nothing happens, by the number of sweeps in it.
pub(crate) fn steady_sweep() -> Result<Vec<Figure>, String> {
    const SWEEPS: f64 = 6.0;
    let mut life = made(96)?;
    let before = life.universe().counts().hetzner;
    let until = life.passed() + SignedDuration::from_hours(1);
    let waited = life.until(SignedDuration::from_hours(1), |_, _| false);
    if life.passed() < until - SignedDuration::from_mins(2) {
        return Err(format!("the hour ended early: {waited:?}"));
    }
    let calls = number(life.universe().counts().hetzner - before) / SWEEPS;
    Ok(vec![Figure::new("hetzner-calls-of-a-steady-sweep-99", calls, "calls", 12.0)])
}

/// Random lives, two at a time, as many as tell the time of ten thousand well enough.
pub(crate) fn ten_thousand_lives() -> Result<Vec<Figure>, String> {
    const SAMPLE: u64 = 100;
    const ALL: f64 = 10_000.0;
    let random = SCENARIOS.first().ok_or("there is no scenario")?;
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let halves = [0..SAMPLE / 2, SAMPLE / 2..SAMPLE];
        let lives = halves.map(|seeds| {
            scope.spawn(move || seeds.into_iter().try_for_each(|seed| run::live(random, seed, false).map(drop)))
        });
        lives.into_iter().try_for_each(|half| match half.join() {
            Ok(lived) => lived.map_err(|failure| failure.to_string()),
            Err(_) => Err("a life panicked".to_owned()),
        })
    })?;
    let minutes = began.elapsed().as_secs_f64() / 60.0 * ALL / number(SAMPLE);
    Ok(vec![Figure::new("lives-10000-by-a-sample-of-100", minutes, "min", 10.0)])
}

//! Figures of pure work on this machine: planning, rendering, making secrets.

use std::collections::BTreeMap;

use helix_engine::secrets::{PkiMaker, SecretMaker};
use helix_plan::catalogue::dated_table;
use helix_plan::forecast::{assumed, forecast};
use helix_plan::names::PlatformIdentity;
use helix_plan::observed::{CloudFacts, NodeTaint, Observed};
use helix_plan::plan;
use helix_plan::render::machine_config::{KubernetesVersions, MachineConfigInputs, MachineRole, render_machine_config};
use helix_plan::validated::ValidatedPlatform;
use jiff::Timestamp;

use crate::figure::{Figure, median};
use crate::lives;

fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A plan for 1,000 machines that all exist: every machine is held against what is wanted. No network at Hetzner holds
/// as many, so the limits are lifted behind the validation's back.
pub(crate) fn plan_of_a_thousand() -> Result<Vec<Figure>, String> {
    const WORKERS: u32 = 997;
    let now = Timestamp::UNIX_EPOCH;
    let catalogue = dated_table();
    let mut platform = ValidatedPlatform::new(&lives::platform(2)?, &catalogue, now).map_err(|all| all.to_string())?;
    platform.network.subnet = platform.network.cidr;
    platform.workers.first_mut().ok_or("the example has no pool")?.replicas = WORKERS;
    let images = assumed::images(&platform);
    let nothing = Observed::nothing(CloudFacts { images, ..CloudFacts::default() }, now);
    let world = forecast(&platform, nothing, now).world;
    let machines = world.cloud.value().map_or(0, |cloud| cloud.servers.len());
    if machines != 1_000 {
        return Err(format!("{machines} machines came to be"));
    }
    let time = median(101, || plan(&platform, &world, now));
    Ok(vec![Figure::new("plan-1000-machines", milliseconds(time), "ms", 10.0)])
}

pub(crate) fn machine_config() -> Result<Vec<Figure>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let bundle = runtime.block_on(PkiMaker.make_bundle(Timestamp::UNIX_EPOCH)).map_err(|error| error.to_string())?;
    let identity = PlatformIdentity { namespace: "bench".into(), name: "bench".into(), uid: "bench".into() };
    let inputs = MachineConfigInputs {
        talos_version: semver::Version::new(1, 13, 9),
        kubernetes: KubernetesVersions::all(&semver::Version::new(1, 36, 3)),
        role: MachineRole::ControlPlane,
        machine: identity.machine("cp", 0),
        server_id: 1,
        cluster_name: "bench".into(),
        endpoint: "https://10.0.1.2:6443".into(),
        cert_sans: vec!["203.0.113.10".into(), "10.0.1.2".into()],
        node_subnet: "10.0.1.0/24".parse().map_err(|_| "a range")?,
        pod_cidr: "10.244.0.0/16".parse().map_err(|_| "a range")?,
        service_cidr: "10.96.0.0/12".parse().map_err(|_| "a range")?,
        schematic: "0".repeat(64),
        labels: BTreeMap::new(),
        taints: Vec::<NodeTaint>::new(),
        schedulable_control_planes: false,
        storage: None,
        trusted_issuer: None,
        patches: Vec::new(),
    };
    let time = median(1_001, || render_machine_config(&inputs, &bundle));
    Ok(vec![Figure::new("machine-config", milliseconds(time), "ms", 0.2)])
}

pub(crate) fn secret_bundle() -> Result<Vec<Figure>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().map_err(|error| error.to_string())?;
    let time = median(21, || runtime.block_on(PkiMaker.make_bundle(Timestamp::UNIX_EPOCH)).is_ok());
    Ok(vec![Figure::new("secret-bundle", time.as_secs_f64(), "s", 0.6)])
}

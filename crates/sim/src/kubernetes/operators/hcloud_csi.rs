//! Hetzner's volume driver: a volume at the simulated Hetzner for each claim, attached to the server on which its pod is, and
//! deleted with its claim. It attaches without VolumeAttachments, and formats and resizes nothing.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::OperatorError;
use super::claims::{Waiting, gibibytes, is_released, user_of, volume, volume_name, waiting};
use super::objects::{Kind, text};
use super::scene::Scene;
use crate::kubernetes::add_ons::{machine_of, machines_of};
use crate::world::labels::Labels;
use crate::world::volumes::CreateVolume;
use crate::world::{ProjectId, ServerId, VolumeId, World};

const CONTROLLER: &str = "hcloud-csi-controller";
const DRIVER: &str = "csi.hetzner.cloud";
/// Says where a node's server is, as the driver's part on each node has the kubelet write it.
const LOCATION: &str = "csi.hetzner.cloud/location";
/// Holds labels for all volumes, `KEY=VALUE` with commas between.
const EXTRA_LABELS: &str = "HCLOUD_VOLUME_EXTRA_LABELS";
/// What Hetzner takes of a label; a claim with a longer name has none of it.
const LABEL_LENGTH: usize = 63;
/// The smallest volume at Hetzner.
const SMALLEST_GB: u32 = 10;

pub(super) async fn look(scene: &Scene<'_>) -> Result<(), OperatorError> {
    let Some(controller) = scene.available(CONTROLLER) else { return Ok(()) };
    let extra = extra_labels(controller);
    label_nodes(scene).await?;
    let claims = scene.list(&Kind::CLAIM).await?;
    let classes = scene.list(&Kind::STORAGE_CLASS).await?;
    for wanted in waiting(&claims, &classes, DRIVER) {
        provision(scene, &wanted, &extra).await?;
    }
    let volumes = scene.list(&Kind::VOLUME).await?;
    let own: Vec<&Value> = volumes.iter().filter(|volume| volume["spec"]["csi"]["driver"] == DRIVER).collect();
    if own.is_empty() {
        return Ok(());
    }
    let pods = scene.list(&Kind::POD).await?;
    for volume in own {
        let Some(id) = text(volume, "/spec/csi/volumeHandle").parse().ok().map(VolumeId) else { continue };
        if !is_released(volume) {
            let node = user_of(volume, &pods);
            let server = node.and_then(|node| machine_of(scene.setting, scene.server, node)).map(|(server, _)| server);
            in_project(scene, |world, project, now| lead(world, project, id, server, now));
        } else if in_project(scene, |world, project, now| remove(world, project, id, now)) == Some(true) {
            scene.delete(&Kind::VOLUME, volume).await?;
        }
    }
    Ok(())
}

fn extra_labels(controller: &Value) -> Labels {
    let containers = controller.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let variables = containers.into_iter().flatten().filter_map(|it| it["env"].as_array()).flatten();
    let told = variables.filter(|variable| variable["name"] == EXTRA_LABELS).filter_map(|it| it["value"].as_str());
    told.flat_map(|text| text.split(','))
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Does something in the project that the cluster's machines are in.
fn in_project<T>(scene: &Scene<'_>, act: impl FnOnce(&mut World, ProjectId, Timestamp) -> T) -> Option<T> {
    let machines = machines_of(scene.setting, scene.server);
    scene.setting.machines.with_world(|world, now| {
        let project = world.project_of(&machines)?;
        Some(act(world, project, now))
    })
}

async fn label_nodes(scene: &Scene<'_>) -> Result<(), OperatorError> {
    for node in scene.list(&Kind::NODE).await? {
        let name = text(&node, "/metadata/name");
        let Some((server, _)) = machine_of(scene.setting, scene.server, name) else { continue };
        let location = in_project(scene, |world, project, _| {
            world.project(project).servers.get(&server).map(|server| server.location.name)
        });
        if let Some(location) = location.flatten().filter(|location| node["metadata"]["labels"][LOCATION] != *location)
        {
            scene.patch(&Kind::NODE, &node, &json!({"metadata": {"labels": {LOCATION: location}}})).await?;
        }
    }
    Ok(())
}

async fn provision(scene: &Scene<'_>, wanted: &Waiting<'_>, extra: &Labels) -> Result<(), OperatorError> {
    let Some((server, _)) = machine_of(scene.setting, scene.server, wanted.node) else { return Ok(()) };
    let size = gibibytes(wanted.claim).max(SMALLEST_GB);
    let mut labels = extra.clone();
    labels.insert("managed-by".to_owned(), "csi-driver".to_owned());
    for (label, pointer) in [("pvc-name", "/metadata/name"), ("pvc-namespace", "/metadata/namespace")] {
        let value = text(wanted.claim, pointer);
        if value.len() <= LABEL_LENGTH {
            labels.insert(label.to_owned(), value.to_owned());
        }
    }
    let name = volume_name(wanted.claim);
    labels.insert("pv-name".to_owned(), name.clone());
    let made = in_project(scene, |world, project, now| {
        let location = world.project(project).servers.get(&server)?.location.name;
        let found = world.project(project).volumes.values().find(|it| it.meta.name == name);
        if let Some(found) = found {
            return found.available.then_some((found.id, found.location.name));
        }
        let location = Some(location.to_owned());
        let order = CreateVolume { name, size_gb: size, location, labels, format: None, server: None };
        // It is asked for again at the next look.
        if let Err(error) = world.create_volume(project, order, now) {
            tracing::debug!(%error, "a volume was refused");
        }
        None
    });
    let Some((id, location)) = made.flatten() else { return Ok(()) };
    let mut volume = volume(wanted, DRIVER, &id.to_string(), size);
    let here = json!({"key": LOCATION, "operator": "In", "values": [location]});
    volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}});
    Ok(scene.apply(CONTROLLER, &Kind::VOLUME, volume).await?)
}

/// One step towards a volume that is attached to this server, or to none.
fn lead(world: &mut World, project: ProjectId, id: VolumeId, to: Option<ServerId>, now: Timestamp) {
    let Some(volume) = world.project(project).volumes.get(&id) else { return };
    // What is refused while something else is under way is done at the next look.
    match (volume.server, to) {
        (None, Some(server)) => world.attach_volume(project, id, server, now).ok(),
        (Some(at), to) if to != Some(at) => world.detach_volume(project, id, now).ok(),
        _ => None,
    };
}

/// One step towards no volume. Says whether there is none any more.
fn remove(world: &mut World, project: ProjectId, id: VolumeId, now: Timestamp) -> bool {
    match world.project(project).volumes.get(&id).map(|volume| volume.server) {
        None => true,
        Some(Some(_)) => {
            world.detach_volume(project, id, now).ok();
            false
        }
        Some(None) => world.delete_volume(project, id, now).is_ok(),
    }
}

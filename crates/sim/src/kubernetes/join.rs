//! How an etcd member comes into its cluster, and that it remembers: a member whose start was cut off must not found a
//! second cluster.

use std::fs;
use std::io;

use super::Setting;
use super::arguments::Origin;
use super::control_plane::{ControlPlaneError, etcd_client};
use super::etcd::Etcd;
use super::files::{Site, write_private};
use crate::talos::machines::Peer;
use crate::world::ServerId;
use crate::world::machine::Guest;

/// How this member began, if it did.
pub(super) fn remembered(site: &Site) -> Result<Option<Origin>, ControlPlaneError> {
    if site.dir.join("etcd/data/member").is_dir() {
        return Ok(Some(Origin::Restarts));
    }
    match fs::read_to_string(site.dir.join("etcd/origin.json")) {
        Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Notes how this member begins.
pub(super) fn remember(site: &Site, origin: Origin) -> Result<Origin, ControlPlaneError> {
    write_private(&site.dir.join("etcd/origin.json"), &serde_json::to_string(&origin)?)?;
    Ok(origin)
}

fn peers(setting: &Setting, server: ServerId) -> Vec<Peer> {
    let mut peers = setting.machines.control_planes(server, Guest::etcd_healthy);
    peers.retain(|peer| peer.server != server);
    peers
}

/// Becomes a learner of the cluster that a healthy peer is in, in place of a stale member of the same name or address;
/// `None` while there is no such peer or another learner is there.
pub(super) async fn join(
    setting: &Setting,
    server: ServerId,
    site: &Site,
) -> Result<Option<Origin>, ControlPlaneError> {
    let Some(peer) = peers(setting, server).first().copied() else { return Ok(None) };
    let etcd = Etcd::at(peer.address, etcd_client(site)?)?;
    let url = format!("https://{}:2380", site.address);
    let members = etcd.members().await.map_err(Box::new)?;
    for stale in members.iter().filter(|member| member.name == site.hostname || member.peer_ur_ls.contains(&url)) {
        etcd.remove(stale.id).await.map_err(Box::new)?;
    }
    if members.iter().any(|member| member.is_learner && member.name != site.hostname) {
        return Ok(None);
    }
    let members = etcd.add_learner(url.clone()).await.map_err(Box::new)?;
    let listed = members
        .iter()
        .flat_map(|member| member.peer_ur_ls.iter().map(move |peer_url| (member, peer_url)))
        .map(|(member, peer_url)| {
            let name = if *peer_url == url { &site.hostname } else { &member.name };
            format!("{name}={peer_url}")
        })
        .collect();
    let origin = remember(site, Origin::Joins(listed))?;
    setting.machines.ask(|guests, _| guests.etcd_joined(server, peer.server));
    Ok(Some(origin))
}

/// Asks the voters to give a learner its vote; whether one did.
pub(super) async fn promote(setting: &Setting, server: ServerId, site: &Site, member: u64) -> bool {
    let Ok(tls) = etcd_client(site) else { return false };
    for peer in peers(setting, server) {
        if let Ok(etcd) = Etcd::at(peer.address, tls.clone())
            && etcd.promote(member).await.is_ok()
        {
            return true;
        }
    }
    false
}

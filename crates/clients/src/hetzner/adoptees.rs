//! Single resources by their ids, whoever owns them: what adoption looks at and labels. Everything else is listed.

use helix_engine::seams::CloudError;
use helix_plan::observed::{Adoptee, Fact, Missing, Named, Tags};
use helix_plan::step::{Lane, ResourceKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::cloud::kind_path;
use super::firewalls::GuardingWire;
use super::load_balancers::LoadBalancerWire;
use super::networks::NetworkWire;
use super::placement_groups::PlacementGroupWire;
use super::request::{Request, Subject};
use super::servers::ServerWire;
use super::transport::Transport;
use super::volumes::VolumeWire;
use super::wire::Labelled;

/// One resource. Hetzner names it after its kind.
#[derive(Debug, Deserialize)]
pub(super) struct Found<T> {
    #[serde(
        alias = "firewall",
        alias = "load_balancer",
        alias = "network",
        alias = "placement_group",
        alias = "server",
        alias = "ssh_key",
        alias = "volume"
    )]
    resource: T,
}

pub(super) fn get(Named { kind, id }: Named) -> Request {
    let (path, words) = kind_path(kind);
    Request::get(format!("{path}/{id}"), Subject::id(words, id))
}

pub(super) fn relabel(Named { kind, id }: Named, name: &str, labels: &Tags) -> Request {
    let (path, words) = kind_path(kind);
    Request::put(format!("{path}/{id}"), Subject::named(words, name), &json!({"name": name, "labels": labels}))
}

pub(super) async fn find(transport: &Transport, lane: Lane, named: Named) -> Result<Option<Adoptee>, CloudError> {
    match read(transport, lane, named).await {
        Ok(adoptee) => Ok(Some(adoptee)),
        Err(CloudError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read(transport: &Transport, lane: Lane, named: Named) -> Result<Adoptee, CloudError> {
    Ok(match named.kind {
        ResourceKind::Server => {
            let server = one::<ServerWire>(transport, lane, named).await?.into_facts();
            Adoptee::Server { server: Box::new(server), talos: Fact::Missing(Missing::NotThereYet) }
        }
        ResourceKind::LoadBalancer => {
            let wire = one::<LoadBalancerWire>(transport, lane, named).await?;
            let other_targets = wire.has_other_targets();
            Adoptee::LoadBalancer { balancer: Box::new(wire.into_facts()), other_targets }
        }
        ResourceKind::PlacementGroup => {
            Adoptee::PlacementGroup(one::<PlacementGroupWire>(transport, lane, named).await?.into())
        }
        ResourceKind::Firewall => one::<GuardingWire>(transport, lane, named).await?.into(),
        ResourceKind::SshKey => Adoptee::SshKey(one::<Labelled>(transport, lane, named).await?.into()),
        ResourceKind::Volume => Adoptee::Volume(one::<VolumeWire>(transport, lane, named).await?.into()),
        ResourceKind::Network => Adoptee::Network(one::<NetworkWire>(transport, lane, named).await?.into()),
    })
}

async fn one<T: DeserializeOwned>(transport: &Transport, lane: Lane, named: Named) -> Result<T, CloudError> {
    let found: Found<T> = transport.call(lane, &get(named)).await?;
    Ok(found.resource)
}

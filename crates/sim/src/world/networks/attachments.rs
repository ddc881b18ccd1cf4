//! Who has which address of a network. An address is taken when it is promised, before the action that makes it true.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::{Network, Subnet};
use crate::world::World;
use crate::world::actions::ResourceRef;
use crate::world::catalogue::Location;
use crate::world::error::{ApiError, ApiResult, ErrorCode};
use crate::world::ids::{NetworkId, ProjectId};
use crate::world::project;
use crate::world::servers::PrivateNet;

/// A network holds so many servers and load balancers together.
const MAX_ATTACHMENTS: usize = 100;

impl Network {
    fn subnets_of_zone<'a>(&'a self, zone: &'a str) -> impl Iterator<Item = &'a Subnet> {
        self.subnets.iter().filter(move |subnet| subnet.network_zone == zone)
    }

    fn address_for(&self, location: &Location, wanted: Option<Ipv4Addr>) -> ApiResult<Ipv4Addr> {
        let none = || ApiError::new(ErrorCode::NoSubnetAvailable, "no subnet or IP available for the location");
        let is_free = |address: &Ipv4Addr| !self.is_reserved(*address) && !self.addresses.contains_key(address);
        let mut subnets = self.subnets_of_zone(location.network_zone).peekable();
        subnets.peek().ok_or_else(none)?;
        match wanted {
            Some(address) => {
                let fits = subnets.any(|subnet| subnet.range.contains(&address)) && is_free(&address);
                fits.then_some(address).ok_or_else(|| ApiError::new(ErrorCode::IpNotAvailable, "IP is not available"))
            }
            None => subnets.flat_map(|subnet| subnet.range.hosts()).find(is_free).ok_or_else(none),
        }
    }

    fn holders(&self) -> usize {
        self.addresses.values().collect::<BTreeSet<_>>().len()
    }
}

impl World {
    /// Takes an address for `holder`, from the first subnet of the location's zone that has one.
    pub(in crate::world) fn reserve_private_address(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        location: &Location,
        wanted: Option<Ipv4Addr>,
        holder: ResourceRef,
    ) -> ApiResult<Ipv4Addr> {
        let network = project::find_mut(&mut self.project_mut(project).networks, network)?;
        if network.holders() >= MAX_ATTACHMENTS {
            let message = format!("network with ID {} has already {MAX_ATTACHMENTS} attached resources", network.id);
            return Err(ApiError::new(ErrorCode::ResourceLimitExceeded, message));
        }
        let address = network.address_for(location, wanted)?;
        network.addresses.insert(address, holder);
        Ok(address)
    }

    /// Whether each network has a subnet with a free address for the location.
    pub(in crate::world) fn check_subnets(
        &self,
        project: ProjectId,
        networks: &[NetworkId],
        location: &Location,
    ) -> ApiResult<()> {
        for network in networks {
            project::find(&self.project(project).networks, *network)?.address_for(location, None)?;
        }
        Ok(())
    }

    pub(in crate::world) fn free_private_addresses(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        is_held_by: impl Fn(ResourceRef) -> bool,
    ) {
        if let Some(network) = self.project_mut(project).networks.get_mut(&network) {
            network.addresses.retain(|_, holder| !is_held_by(*holder));
        }
    }

    pub(in crate::world) fn free_private_addresses_at(
        &mut self,
        project: ProjectId,
        network: NetworkId,
        net: &PrivateNet,
    ) {
        if let Some(network) = self.project_mut(project).networks.get_mut(&network) {
            network.addresses.retain(|address, _| *address != net.ip && !net.alias_ips.contains(address));
        }
    }
}

//! Which machines a call is for: the one that was dialled, or those that the metadata `node` and `nodes` name, to which
//! a control plane passes calls on.

use std::net::Ipv4Addr;

use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::caller::Caller;
use super::machines::Machines;
use crate::world::ServerId;
use crate::world::machine::config::Role;
use crate::world::machine::{Apid, Guest};

/// One machine that a call is for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The machine, or why it cannot be reached.
    pub(super) machine: Result<ServerId, Status>,
    /// The name under which its answer goes among others; `None` for an answer on its own.
    pub(super) name: Option<String>,
}

/// Checks the caller and finds the machines that a call on `dialled` is for.
///
/// # Errors
/// `PermissionDenied` where the role does not suffice, or a worker is asked to pass a call on.
pub(super) fn targets<T>(
    machines: &Machines,
    dialled: ServerId,
    request: &Request<T>,
    method: &str,
) -> Result<(Caller, Vec<Target>), Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    let caller = caller.ok_or_else(|| Status::internal("the connection has no caller"))?;
    let version = machines.look_at(dialled, |guest, _| guest.version().to_owned()).unwrap_or_default();
    if caller.maintenance && version.starts_with("v1.12.") && method != "ApplyConfiguration" {
        return Err(Status::unimplemented("API is not implemented in maintenance mode"));
    }
    caller.may(method)?;
    let here = vec![Target { machine: Ok(dialled), name: None }];
    if caller.maintenance {
        return Ok((caller, here));
    }
    let one = named(request.metadata(), "node");
    let many = named(request.metadata(), "nodes");
    if one.is_empty() && many.is_empty() {
        return Ok((caller, here));
    }
    if machines.look_at(dialled, Guest::forwards) != Some(true) {
        return Err(Status::permission_denied("no request forwarding"));
    }
    let alone = many.is_empty();
    let targets = one.into_iter().chain(many).map(|name| {
        let machine = find(machines, dialled, &name);
        Target { machine, name: (!alone).then_some(name) }
    });
    Ok((caller, targets.collect()))
}

/// The one machine that a streaming call is for.
///
/// # Errors
/// As [`targets`], and where there are several or the one cannot be reached.
pub(super) fn target<T>(
    machines: &Machines,
    dialled: ServerId,
    request: &Request<T>,
    method: &str,
) -> Result<(Caller, ServerId), Status> {
    let (caller, targets) = targets(machines, dialled, request, method)?;
    match <[Target; 1]>::try_from(targets) {
        Ok([target]) => Ok((caller, target.machine?)),
        Err(_) => Err(Status::invalid_argument("one2many is not supported for this method")),
    }
}

fn named(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let values = metadata.get_all(key).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// A machine of the dialled one's cluster by address or host name, if its apid answers.
fn find(machines: &Machines, dialled: ServerId, name: &str) -> Result<ServerId, Status> {
    // Each has to know the other's authority: the dialled one calls in its own name.
    let knows = |guest: &Guest, other: &Guest| {
        let machine = |guest: &Guest| guest.config().and_then(|config| config.machine()).cloned();
        machine(guest).zip(machine(other)).is_some_and(|(own, other)| own.known_authorities().contains(&other.ca.crt))
    };
    let address: Option<Ipv4Addr> = name.parse().ok();
    machines.look(|guests, _| {
        let own = guests.get(dialled);
        guests
            .iter()
            .filter(|guest| {
                own.is_some_and(|own| knows(own, guest) && knows(guest, own)) && guest.apid() == Apid::Serving
            })
            .find(|guest| {
                let host = guest.host();
                let addresses = [host.private_ipv4, host.public_ipv4, Some(host.address)];
                guest.hostname() == name || address.is_some() && addresses.contains(&address)
            })
            .map(|guest| guest.host().server)
            .ok_or_else(|| Status::unavailable(format!("connection error: {name} does not answer")))
    })
}

impl Guest {
    /// Whether its apid passes calls on.
    fn forwards(&self, _now: jiff::Timestamp) -> bool {
        self.role() == Some(Role::ControlPlane)
    }
}

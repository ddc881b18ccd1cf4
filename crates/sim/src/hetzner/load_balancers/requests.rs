//! Requests about load balancers, and what they mean in the world.

use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::hetzner::servers::NameOrId;
use crate::world::load_balancers::{
    Algorithm, CreateLoadBalancer, HealthCheck, HttpCheck, LoadBalancerChange, Service, TargetKind,
};
use crate::world::{ApiError, Labels, NetworkId, ServerId};

/// Codes that count as healthy when none are given.
const DEFAULT_STATUS_CODES: [&str; 2] = ["2??", "3??"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    name: String,
    load_balancer_type: NameOrId,
    location: Option<String>,
    network_zone: Option<String>,
    algorithm: Option<ChangeAlgorithm>,
    #[serde(default)]
    services: Vec<AddService>,
    #[serde(default)]
    targets: Vec<TargetOnWire>,
    network: Option<NetworkId>,
    #[serde(default = "yes")]
    public_interface: bool,
    #[serde(default)]
    labels: Labels,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAlgorithm {
    #[serde(rename = "type")]
    kind: AlgorithmOnWire,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AlgorithmOnWire {
    RoundRobin,
    LeastConnections,
}

/// Only TCP is simulated: Talos' and Kubernetes' own TLS must pass through untouched.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ServiceProtocol {
    Tcp,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CheckProtocol {
    Tcp,
    Http,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddService {
    #[serde(rename = "protocol")]
    _protocol: ServiceProtocol,
    listen_port: u16,
    destination_port: u16,
    #[serde(default)]
    proxyprotocol: bool,
    health_check: CheckOnWire,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckOnWire {
    protocol: CheckProtocol,
    port: u16,
    interval: u32,
    timeout: u32,
    retries: u32,
    http: Option<HttpCheckOnWire>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpCheckOnWire {
    domain: Option<String>,
    path: Option<String>,
    response: Option<String>,
    status_codes: Option<Vec<String>>,
    tls: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateService {
    pub(super) listen_port: u16,
    #[serde(rename = "protocol")]
    _protocol: Option<ServiceProtocol>,
    destination_port: Option<u16>,
    proxyprotocol: Option<bool>,
    health_check: Option<UpdateCheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateCheck {
    protocol: Option<CheckProtocol>,
    port: Option<u16>,
    interval: Option<u32>,
    timeout: Option<u32>,
    retries: Option<u32>,
    http: Option<HttpCheckOnWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteService {
    listen_port: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetOnWire {
    #[serde(rename = "type")]
    kind: KindOnWire,
    server: Option<ServerOnWire>,
    label_selector: Option<SelectorOnWire>,
    ip: Option<IpOnWire>,
    #[serde(default)]
    use_private_ip: bool,
}

/// The same object, but without the interface.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveTarget {
    #[serde(rename = "type")]
    kind: KindOnWire,
    server: Option<ServerOnWire>,
    label_selector: Option<SelectorOnWire>,
    ip: Option<IpOnWire>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindOnWire {
    Server,
    LabelSelector,
    Ip,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerOnWire {
    id: ServerId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectorOnWire {
    selector: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IpOnWire {
    ip: Ipv4Addr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attach {
    network: NetworkId,
    ip: Option<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detach {
    network: NetworkId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnablePublic {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisablePublic {}

impl TryFrom<Create> for CreateLoadBalancer {
    type Error = ApiError;

    fn try_from(request: Create) -> Result<Self, ApiError> {
        Ok(Self {
            name: request.name,
            kind: request.load_balancer_type.into(),
            location: request.location,
            network_zone: request.network_zone,
            algorithm: request.algorithm.map(Algorithm::from).unwrap_or_default(),
            services: request.services.into_iter().map(Service::try_from).collect::<Result<_, _>>()?,
            targets: request.targets.into_iter().map(TargetKind::try_from).collect::<Result<_, _>>()?,
            network: request.network,
            private_only: !request.public_interface,
            labels: request.labels,
        })
    }
}

impl From<ChangeAlgorithm> for Algorithm {
    fn from(request: ChangeAlgorithm) -> Self {
        match request.kind {
            AlgorithmOnWire::RoundRobin => Self::RoundRobin,
            AlgorithmOnWire::LeastConnections => Self::LeastConnections,
        }
    }
}

impl TryFrom<AddService> for Service {
    type Error = ApiError;

    fn try_from(request: AddService) -> Result<Self, ApiError> {
        let check = request.health_check;
        Ok(Self {
            listen_port: request.listen_port,
            destination_port: request.destination_port,
            proxy_protocol: request.proxyprotocol,
            health_check: HealthCheck {
                port: check.port,
                interval_seconds: check.interval,
                timeout_seconds: check.timeout,
                retries: check.retries,
                http: http_check(check.protocol, check.http)?,
            },
        })
    }
}

fn http_check(protocol: CheckProtocol, http: Option<HttpCheckOnWire>) -> Result<Option<HttpCheck>, ApiError> {
    match (protocol, http) {
        (CheckProtocol::Tcp, None) => Ok(None),
        (CheckProtocol::Http, Some(http)) => Ok(Some(HttpCheck {
            domain: http.domain.filter(|domain| !domain.is_empty()),
            path: http.path.ok_or_else(|| ApiError::invalid("health_check.http.path", "is required"))?,
            response: http.response.filter(|response| !response.is_empty()),
            status_codes: http.status_codes.unwrap_or_else(|| DEFAULT_STATUS_CODES.map(str::to_owned).to_vec()),
            tls: http.tls.unwrap_or(false),
        })),
        (CheckProtocol::Tcp, Some(_)) | (CheckProtocol::Http, None) => {
            Err(ApiError::invalid("health_check.http", "goes with protocol http and only with it"))
        }
    }
}

impl UpdateService {
    /// The service as it shall be: what isn't sent stays as it is.
    pub(super) fn merged_into(self, mut service: Service) -> Result<Service, ApiError> {
        service.destination_port = self.destination_port.unwrap_or(service.destination_port);
        service.proxy_protocol = self.proxyprotocol.unwrap_or(service.proxy_protocol);
        let Some(update) = self.health_check else { return Ok(service) };
        let check = &mut service.health_check;
        check.port = update.port.unwrap_or(check.port);
        check.interval_seconds = update.interval.unwrap_or(check.interval_seconds);
        check.timeout_seconds = update.timeout.unwrap_or(check.timeout_seconds);
        check.retries = update.retries.unwrap_or(check.retries);
        let before = check.http.take();
        let was = if before.is_some() { CheckProtocol::Http } else { CheckProtocol::Tcp };
        let protocol = update.protocol.unwrap_or(was);
        let http = match protocol {
            CheckProtocol::Tcp => update.http,
            CheckProtocol::Http => Some(merged_http(update.http, before)),
        };
        check.http = http_check(protocol, http)?;
        Ok(service)
    }
}

fn merged_http(update: Option<HttpCheckOnWire>, before: Option<HttpCheck>) -> HttpCheckOnWire {
    let (path, tls, codes, domain, response) = match before {
        Some(it) => (Some(it.path), Some(it.tls), Some(it.status_codes), it.domain, it.response),
        None => (None, None, None, None, None),
    };
    let before = HttpCheckOnWire { domain, path, response, status_codes: codes, tls };
    match update {
        None => before,
        Some(update) => HttpCheckOnWire {
            domain: update.domain.or(before.domain),
            path: update.path.or(before.path),
            response: update.response.or(before.response),
            status_codes: update.status_codes.or(before.status_codes),
            tls: update.tls.or(before.tls),
        },
    }
}

impl TryFrom<TargetOnWire> for TargetKind {
    type Error = ApiError;

    fn try_from(target: TargetOnWire) -> Result<Self, ApiError> {
        let use_private_ip = target.use_private_ip;
        match (target.kind, target.server, target.label_selector, target.ip) {
            (KindOnWire::Server, Some(server), None, None) => Ok(Self::Server { server: server.id, use_private_ip }),
            (KindOnWire::LabelSelector, None, Some(selector), None) => {
                Ok(Self::LabelSelector { selector: selector.selector, use_private_ip })
            }
            (KindOnWire::Ip, None, None, Some(ip)) if !use_private_ip => Ok(Self::Ip { ip: ip.ip }),
            (KindOnWire::Server | KindOnWire::LabelSelector | KindOnWire::Ip, _, _, _) => {
                Err(ApiError::invalid("type", "must go with the one object that it names"))
            }
        }
    }
}

impl TryFrom<TargetOnWire> for LoadBalancerChange {
    type Error = ApiError;

    fn try_from(target: TargetOnWire) -> Result<Self, ApiError> {
        TargetKind::try_from(target).map(Self::AddTarget)
    }
}

impl TryFrom<RemoveTarget> for LoadBalancerChange {
    type Error = ApiError;

    fn try_from(target: RemoveTarget) -> Result<Self, ApiError> {
        let RemoveTarget { kind, server, label_selector, ip } = target;
        let target = TargetOnWire { kind, server, label_selector, ip, use_private_ip: false };
        TargetKind::try_from(target).map(Self::RemoveTarget)
    }
}

impl TryFrom<AddService> for LoadBalancerChange {
    type Error = ApiError;

    fn try_from(request: AddService) -> Result<Self, ApiError> {
        Service::try_from(request).map(Self::AddService)
    }
}

macro_rules! changes {
    ($($request:ident as $it:pat => $change:expr;)*) => {$(
        impl TryFrom<$request> for LoadBalancerChange {
            type Error = ApiError;

            fn try_from($it: $request) -> Result<Self, ApiError> {
                Ok($change)
            }
        }
    )*};
}

changes! {
    DeleteService as DeleteService { listen_port } => LoadBalancerChange::DeleteService(listen_port);
    Attach as Attach { network, ip } => LoadBalancerChange::Attach { network, ip };
    Detach as Detach { network } => LoadBalancerChange::Detach(network);
    EnablePublic as EnablePublic {} => LoadBalancerChange::PublicInterface(true);
    DisablePublic as DisablePublic {} => LoadBalancerChange::PublicInterface(false);
    ChangeAlgorithm as request => LoadBalancerChange::Algorithm(request.into());
}

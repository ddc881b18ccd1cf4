//! Where the Kubernetes API of a platform is reached: by machines, and by callers outside.

use crate::names::MachineName;
use crate::observed::CloudFacts;
use crate::phases::firewall::KUBERNETES_PORT;
use crate::validated::{Endpoint, ValidatedPlatform};

/// The URLs by which callers outside reach the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiEndpoints {
    /// The load balancer's or the name's, if it is open to callers outside.
    pub front: Option<String>,
    /// Each control plane's own, which the allow-list guards.
    pub control_planes: Vec<String>,
}

impl ApiEndpoints {
    /// The endpoints that a client configuration names: the front, else the control planes.
    #[must_use]
    pub fn for_clients(&self) -> Vec<String> {
        match &self.front {
            Some(front) => vec![front.clone()],
            None => self.control_planes.clone(),
        }
    }
}

/// The URL of the Kubernetes API at `host`.
#[must_use]
pub fn api_url(host: &str) -> String {
    format!("https://{host}:{KUBERNETES_PORT}")
}

/// The endpoints of a platform, as far as its resources have addresses.
#[must_use]
pub fn api_endpoints(platform: &ValidatedPlatform, cloud: &CloudFacts) -> ApiEndpoints {
    let front = match &platform.endpoint {
        Endpoint::LoadBalancer { public: true } => {
            let open = cloud.load_balancers.first().filter(|balancer| balancer.public);
            open.and_then(|balancer| balancer.public_ipv4).map(|ip| api_url(&ip.to_string()))
        }
        Endpoint::LoadBalancer { public: false } => None,
        Endpoint::Dns { host } => Some(api_url(host)),
    };
    ApiEndpoints { front, control_planes: of_control_planes(cloud) }
}

/// The endpoints of whatever there is, whether or not its specification is a good one: as a teardown asks.
#[must_use]
pub fn found_endpoints(cloud: &CloudFacts) -> ApiEndpoints {
    let balancer = cloud.load_balancers.iter().find(|balancer| balancer.public);
    let front = balancer.and_then(|balancer| balancer.public_ipv4).map(|ip| api_url(&ip.to_string()));
    ApiEndpoints { front, control_planes: of_control_planes(cloud) }
}

fn of_control_planes(cloud: &CloudFacts) -> Vec<String> {
    let is_control_plane = |name: &str| MachineName::parse(name).is_ok_and(|machine| machine.is_control_plane());
    let mut control_planes: Vec<_> = cloud
        .servers
        .iter()
        .filter(|server| is_control_plane(&server.name))
        .filter_map(|server| Some((server.name.as_str(), server.public_ipv4?)))
        .collect();
    control_planes.sort();
    control_planes.into_iter().map(|(_, ip)| api_url(&ip.to_string())).collect()
}

/// The endpoint that machines use, in the private network; `None` while the load balancer has no address.
#[must_use]
pub fn machine_endpoint(platform: &ValidatedPlatform, cloud: &CloudFacts) -> Option<String> {
    match &platform.endpoint {
        Endpoint::LoadBalancer { .. } => {
            let address = cloud.private_ipv4(&cloud.load_balancers.first()?.private)?;
            Some(api_url(&address.to_string()))
        }
        Endpoint::Dns { host } => Some(api_url(host)),
    }
}

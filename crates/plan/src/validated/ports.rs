//! Who may reach the admin ports, and whether they are to close to all but Helix itself.

use helix_crds::{HelixPlatformSpec, HetznerProvider, PhaseName};

use super::{Rejections, network};

/// Who may reach the admin ports of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminPorts {
    /// CIDRs that Helix itself calls from, sorted; empty where none are said.
    pub egress: Vec<String>,
    /// Whether the ports are to close to everybody else once the mesh is another way in.
    pub close: bool,
}

pub(super) fn admin_ports(
    spec: &HelixPlatformSpec,
    hetzner: &HetznerProvider,
    rejections: &mut Rejections,
) -> AdminPorts {
    let netbird = spec.security_weave.as_ref().and_then(|weave| weave.netbird.as_ref());
    let close = netbird.is_some_and(|netbird| netbird.close_public_admin_ports);
    AdminPorts {
        egress: network::address_ranges("spec.provider.hetzner.operatorEgress", &hetzner.operator_egress, rejections),
        close: close && spec.until_phase >= PhaseName::SecurityWeave,
    }
}

/// The account at the mesh' management service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshAccount {
    /// URL of the service.
    pub url: String,
    /// The Secret with the token, in the platform's namespace, and its key.
    pub token: (String, String),
}

pub(crate) fn mesh(spec: &HelixPlatformSpec) -> Option<MeshAccount> {
    let netbird = spec.security_weave.as_ref()?.netbird.as_ref()?;
    let token = (netbird.api_key_secret_ref.name.clone(), netbird.api_key_secret_ref.key.clone());
    let account = MeshAccount { url: netbird.management_url.clone(), token };
    (spec.until_phase >= PhaseName::SecurityWeave).then_some(account)
}

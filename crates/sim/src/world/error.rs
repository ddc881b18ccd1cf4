//! The errors of Hetzner's API, as its document lists them, with the HTTP status of each.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// An error code of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code that the simulator can answer.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The body is no JSON.
    JsonError = "json_error", 400;
    /// Unknown or revoked token.
    Unauthorized = "unauthorized", 401;
    /// A token that may only read.
    TokenReadonly = "token_readonly", 401;
    /// Not allowed.
    Forbidden = "forbidden", 403;
    /// Hetzner works on it.
    Maintenance = "maintenance", 403;
    /// A quota of the project.
    ResourceLimitExceeded = "resource_limit_exceeded", 403;
    /// No such resource.
    NotFound = "not_found", 404;
    /// The path knows no such method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The name (or fingerprint) is taken.
    UniquenessError = "uniqueness_error", 409;
    /// Another change to the resource is under way.
    Conflict = "conflict", 409;
    /// The end point was removed.
    DeprecatedApiEndpoint = "deprecated_api_endpoint", 410;
    /// The type can't be ordered here, now.
    ResourceUnavailable = "resource_unavailable", 412;
    /// A listen port is used twice.
    SourcePortAlreadyUsed = "source_port_already_used", 412;
    /// The primary IP has the other IP version.
    PrimaryIpVersionMismatch = "primary_ip_version_mismatch", 412;
    /// The request breaks a rule that its fields name.
    InvalidInput = "invalid_input", 422;
    /// A rule of a service behind the API.
    ServiceError = "service_error", 422;
    /// The resource doesn't know the action.
    UnsupportedError = "unsupported_error", 422;
    /// No host satisfies the placement.
    PlacementError = "placement_error", 422;
    /// Eleven servers in a spread group.
    PlacementGroupMemberLimitReached = "placement_group_member_limit_reached", 422;
    /// Already in a placement group.
    AlreadyInPlacementGroup = "already_in_placement_group", 422;
    /// Only a powered-off server can do this.
    ServerNotStopped = "server_not_stopped", 422;
    /// The type doesn't fit the server.
    InvalidServerType = "invalid_server_type", 422;
    /// A firewall can't guard a resource in a network of that kind.
    IncompatibleNetworkType = "incompatible_network_type", 422;
    /// The address is in no subnet of a vSwitch.
    IpNotInVswitchSubnet = "ip_not_in_vswitch_subnet", 422;
    /// The network has no subnet of a vSwitch.
    NetworkHasNoVswitchSubnet = "network_has_no_vswitch_subnet", 422;
    /// The address is no server's.
    IpNotAssignedToServer = "ip_not_assigned_to_server", 422;
    /// Something still uses it.
    ResourceInUse = "resource_in_use", 422;
    /// The server already is in the network.
    ServerAlreadyAttached = "server_already_attached", 422;
    /// The address is taken or outside of the subnets.
    IpNotAvailable = "ip_not_available", 422;
    /// No subnet, or none with a free address, for that location.
    NoSubnetAvailable = "no_subnet_available", 422;
    /// Two networks of a server overlap.
    NetworksOverlap = "networks_overlap", 422;
    /// The resource a firewall should guard isn't there; 404 by the document for the later actions, 422 at creation.
    FirewallResourceNotFound = "firewall_resource_not_found", 404;
    /// The firewall guards it already.
    FirewallAlreadyApplied = "firewall_already_applied", 422;
    /// The firewall guards it by label.
    FirewallManagedByLabelSelector = "firewall_managed_by_label_selector", 422;
    /// Firewalls guard public interfaces only.
    PrivateNetOnlyServer = "private_net_only_server", 422;
    /// One server named twice.
    ServerAlreadyAdded = "server_already_added", 422;
    /// A target with a private address before the load balancer has one.
    LoadBalancerNotAttachedToNetwork = "load_balancer_not_attached_to_network", 422;
    /// The load balancer is in a network already.
    LoadBalancerAlreadyAttached = "load_balancer_already_attached", 422;
    /// A public target of a load balancer without public interface.
    LoadBalancerPublicInterfaceDisabled = "load_balancer_public_interface_disabled", 422;
    /// The public interface can't go while targets use it.
    TargetsWithoutUsePrivateIp = "targets_without_use_private_ip", 422;
    /// The target isn't in the load balancer's network.
    ResolveCloudPrivateTargetsError = "resolve_cloud_private_targets_error", 422;
    /// The target has no public IPv4 address.
    ResolveCloudPublicTargetsError = "resolve_cloud_public_targets_error", 422;
    /// Such a target exists.
    TargetAlreadyDefined = "target_already_defined", 422;
    /// No such target.
    LoadBalancerTargetNotFound = "load_balancer_target_not_found", 422;
    /// No such address in the project.
    IpNotOwned = "ip_not_owned", 422;
    /// The type doesn't fit the load balancer.
    InvalidLoadBalancerType = "invalid_load_balancer_type", 422;
    /// The address is assigned.
    MustBeUnassigned = "must_be_unassigned", 422;
    /// The primary IP belongs to another server.
    PrimaryIpAlreadyAssigned = "primary_ip_already_assigned", 422;
    /// The primary IP asked for belongs to another server.
    PrimaryIpAssigned = "primary_ip_assigned", 422;
    /// The primary IP is elsewhere.
    PrimaryIpDatacenterMismatch = "primary_ip_datacenter_mismatch", 422;
    /// The server has an IPv4 address.
    ServerHasIpv4 = "server_has_ipv4", 422;
    /// The server has an IPv6 network.
    ServerHasIpv6 = "server_has_ipv6", 422;
    /// An action holds it.
    Locked = "locked", 423;
    /// Protected from this.
    Protected = "protected", 423;
    /// The token bucket is empty.
    RateLimitExceeded = "rate_limit_exceeded", 429;
    /// Hetzner's own fault.
    ServerError = "server_error", 500;
    /// The backend couldn't be reached.
    BadGateway = "bad_gateway", 502;
    /// Down.
    Unavailable = "unavailable", 503;
    /// Too slow.
    Timeout = "timeout", 504;
}

impl ErrorCode {
    /// Reads a code as it stands on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

/// An error of the API: the body says the code, a message for people and sometimes the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What clients match.
    pub code: ErrorCode,
    /// What people read.
    pub message: String,
    /// The offending fields, with what is wrong about each.
    pub fields: Vec<FieldError>,
    /// The status, where the document gives one code two.
    status: Option<u16>,
}

/// A field of the request and what is wrong about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Its name.
    pub name: String,
    /// What is wrong; empty in `uniqueness_error`.
    pub message: Option<String>,
}

impl ApiError {
    /// An error that names no field.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new(), status: None }
    }

    /// `invalid_input` in one field.
    #[must_use]
    pub fn invalid(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            code: ErrorCode::InvalidInput,
            message: format!("invalid input in field '{field}': {reason}"),
            fields: vec![FieldError { name: field.to_owned(), message: Some(reason) }],
            status: None,
        }
    }

    /// `not_found`.
    #[must_use]
    pub fn not_found(kind: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("{kind} with ID '{id}' not found"))
    }

    /// `uniqueness_error` about a field.
    #[must_use]
    pub fn not_unique(kind: &str, field: &str) -> Self {
        Self {
            fields: vec![FieldError { name: field.to_owned(), message: None }],
            ..Self::new(ErrorCode::UniquenessError, format!("{kind} {field} is already used"))
        }
    }

    /// `locked`.
    #[must_use]
    pub fn locked(kind: &str) -> Self {
        Self::new(ErrorCode::Locked, format!("cannot perform operation because {kind} is locked"))
    }

    /// `conflict`: two changes at a time.
    #[must_use]
    pub fn conflict(kind: &str) -> Self {
        Self::new(ErrorCode::Conflict, format!("{kind} has changed during request, please retry"))
    }

    /// `protected`.
    #[must_use]
    pub fn protected(kind: &str) -> Self {
        Self::new(ErrorCode::Protected, format!("{kind} deletion is protected"))
    }

    /// The same error under another HTTP status.
    #[must_use]
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.status.unwrap_or_else(|| self.code.http_status())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.as_str())
    }
}

impl std::error::Error for ApiError {}

/// What a call on the world gives.
pub type ApiResult<T> = Result<T, ApiError>;

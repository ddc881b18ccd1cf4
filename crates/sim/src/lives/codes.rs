//! The error codes of Hetzner's API that any call may meet, by the document's list: what a life is given to chew on.

/// Codes that say that the same call may go well another time.
pub const PASSING: &[&str] = &[
    "conflict",
    "locked",
    "maintenance",
    "rate_limit_exceeded",
    "server_error",
    "service_error",
    "timeout",
    "unavailable",
    "bad_gateway",
];

/// Codes that say that this call will not go well as it is; a life is given them for a while, as an API in disorder does.
pub const STANDING: &[&str] = &[
    "json_error",
    "unauthorized",
    "token_readonly",
    "forbidden",
    "resource_limit_exceeded",
    "not_found",
    "method_not_allowed",
    "uniqueness_error",
    "deprecated_api_endpoint",
    "resource_unavailable",
    "invalid_input",
    "unsupported_error",
    "placement_error",
    "protected",
];

/// What single operations answer besides, of those that Helix asks for: method, path and codes.
pub const OF_OPERATIONS: &[(&str, &str, &[&str])] = &[
    ("POST", "/firewalls", &["server_already_added", "incompatible_network_type", "firewall_resource_not_found"]),
    ("DELETE", "/firewalls/*", &["resource_in_use"]),
    (
        "POST",
        "/firewalls/*/actions/apply_to_resources",
        &[
            "firewall_resource_not_found",
            "firewall_already_applied",
            "incompatible_network_type",
            "private_net_only_server",
        ],
    ),
    (
        "POST",
        "/load_balancers",
        &[
            "source_port_already_used",
            "ip_not_owned",
            "load_balancer_not_attached_to_network",
            "resolve_cloud_private_targets_error",
            "resolve_cloud_public_targets_error",
            "target_already_defined",
        ],
    ),
    ("POST", "/load_balancers/*/actions/add_service", &["source_port_already_used"]),
    (
        "POST",
        "/load_balancers/*/actions/add_target",
        &[
            "ip_not_in_vswitch_subnet",
            "ip_not_owned",
            "ip_not_assigned_to_server",
            "load_balancer_public_interface_disabled",
            "load_balancer_not_attached_to_network",
            "network_has_no_vswitch_subnet",
            "resolve_cloud_private_targets_error",
            "resolve_cloud_public_targets_error",
            "target_already_defined",
        ],
    ),
    (
        "POST",
        "/load_balancers/*/actions/attach_to_network",
        &["load_balancer_already_attached", "ip_not_available", "no_subnet_available"],
    ),
    (
        "POST",
        "/load_balancers/*/actions/disable_public_interface",
        &["load_balancer_not_attached_to_network", "targets_without_use_private_ip"],
    ),
    ("POST", "/load_balancers/*/actions/update_service", &["source_port_already_used"]),
    (
        "POST",
        "/servers",
        &["primary_ip_version_mismatch", "placement_error", "primary_ip_assigned", "primary_ip_datacenter_mismatch"],
    ),
    (
        "POST",
        "/servers/*/actions/attach_to_network",
        &["server_already_attached", "ip_not_available", "no_subnet_available", "networks_overlap"],
    ),
];

/// What was seen of single operations and stands in no document.
pub const OBSERVED: &[(&str, &str, &[&str])] = &[
    ("POST", "/servers", &["placement_group_member_limit_reached"]),
    ("POST", "/load_balancers/*/actions/remove_target", &["load_balancer_target_not_found"]),
];

/// Every code that any call is given.
pub fn all() -> impl Iterator<Item = &'static str> {
    PASSING.iter().chain(STANDING).copied()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::world::ErrorCode;

    #[test]
    fn the_world_knows_every_code() {
        let of_operations = OF_OPERATIONS.iter().chain(OBSERVED).flat_map(|(_, _, codes)| codes.iter().copied());
        for code in all().chain(of_operations) {
            assert!(ErrorCode::parse(code).is_some(), "{code}");
        }
    }

    /// What Helix never asks for.
    const NOT_ASKED_FOR: [&str; 11] = [
        "POST /firewalls/{id}/actions/remove_from_resources",
        "DELETE /floating_ips/{id}",
        "POST /floating_ips/{id}/actions/assign",
        "POST /load_balancers/{id}/actions/change_type",
        "POST /primary_ips",
        "DELETE /primary_ips/{id}",
        "POST /primary_ips/{id}/actions/assign",
        "POST /primary_ips/{id}/actions/unassign",
        "POST /servers/{id}/actions/add_to_placement_group",
        "POST /servers/{id}/actions/change_type",
        "POST /volumes",
    ];

    /// The published list, where it is at hand.
    fn published() -> Option<serde_json::Value> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/hetzner/error-codes.json");
        let Ok(text) = std::fs::read_to_string(&file) else {
            assert!(std::env::var("CI").is_err(), "{} is needed", file.display());
            eprintln!("skipped: needs {}", file.display());
            return None;
        };
        Some(serde_json::from_str(&text).unwrap())
    }

    fn codes(rows: &serde_json::Value) -> impl Iterator<Item = &str> {
        rows.as_array().unwrap().iter().map(|row| row["code"].as_str().unwrap())
    }

    #[test]
    fn every_general_code_is_given() {
        let Some(published) = published() else { return };
        for code in codes(&published["general"]) {
            assert!(all().any(|ours| ours == code), "{code} is published and not given");
        }
    }

    #[test]
    fn every_code_of_an_operation_is_given() {
        let Some(published) = published() else { return };
        for (operation, rows) in published["per_operation"].as_object().unwrap() {
            let (method, path) = operation.split_once(' ').unwrap();
            let path = path.replace("{id}", "*");
            match OF_OPERATIONS.iter().find(|(ours, at, _)| *ours == method && *at == path) {
                Some((_, _, ours)) => assert!(codes(rows).eq(ours.iter().copied()), "{operation}"),
                None => assert!(NOT_ASKED_FOR.contains(&operation.as_str()), "{operation}"),
            }
        }
    }
}

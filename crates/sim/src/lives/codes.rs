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

/// Every code that is given.
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
        for code in all() {
            assert!(ErrorCode::parse(code).is_some(), "{code}");
        }
    }

    /// Against the published list, where it is at hand.
    #[test]
    fn every_general_code_is_given() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/hetzner/error-codes.json");
        let Ok(text) = std::fs::read_to_string(&file) else {
            assert!(std::env::var("CI").is_err(), "{} is needed", file.display());
            eprintln!("skipped: needs {}", file.display());
            return;
        };
        let published: serde_json::Value = serde_json::from_str(&text).unwrap();
        let general = published["general"].as_array().unwrap();
        for row in general {
            let code = row["code"].as_str().unwrap();
            assert!(all().any(|ours| ours == code), "{code} is published and not given");
        }
    }
}

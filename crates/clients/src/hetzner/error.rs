//! From what Hetzner answered to the engine's [`CloudError`]: by status and code, never by the text of a message.

use helix_engine::seams::CloudError;
use serde::Deserialize;

use super::request::Subject;

/// What is kept of a message at most; Hetzner's own are far shorter.
const MESSAGE_CHARS: usize = 300;

#[derive(Deserialize)]
struct Envelope {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: String,
    #[serde(default)]
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    messages: Vec<String>,
}

/// Reads an answer with a status that is neither success nor 429.
///
/// Without Hetzner's error document a status alone means little: a 404 may come from a proxy, and must not pass for
/// "this server is gone".
pub(super) fn read(status: u16, body: &[u8], subject: &Subject, endpoint: &str) -> CloudError {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => classify(status, envelope.error, subject),
        Err(_) if status == 401 => {
            CloudError::Unauthorized { message: "status 401 without Hetzner's error document".to_owned() }
        }
        Err(_) if status >= 500 => CloudError::Other {
            status,
            code: String::new(),
            message: "no error document came with it; it is tried again".to_owned(),
        },
        Err(_) => CloudError::Malformed {
            endpoint: endpoint.to_owned(),
            why: format!("status {status} without Hetzner's error document: is this Hetzner's API?"),
        },
    }
}

fn classify(status: u16, error: ErrorBody, subject: &Subject) -> CloudError {
    let message = plain(&error.message);
    let what = subject.to_string();
    match error.code.as_str() {
        "unauthorized" => CloudError::Unauthorized { message },
        "forbidden" | "token_readonly" => CloudError::Forbidden { message },
        "not_found" | "firewall_resource_not_found" => CloudError::NotFound { what },
        "uniqueness_error" => CloudError::Taken { name: subject.name.clone() },
        "locked" => CloudError::Locked { what },
        "protected" => CloudError::Protected { what },
        "resource_in_use" | "must_be_unassigned" => CloudError::InUse { what },
        // A port that is served already means that the look this was decided on is out of date.
        "conflict" | "source_port_already_used" => CloudError::Conflict { message },
        "resource_unavailable" | "placement_error" => CloudError::Unavailable { message },
        "resource_limit_exceeded" | "placement_group_member_limit_reached" => CloudError::LimitExceeded { message },
        "invalid_input" | "json_error" => {
            CloudError::Invalid { message, fields: fields(error.details.unwrap_or_default()) }
        }
        _ if status == 401 => CloudError::Unauthorized { message },
        code => CloudError::Other { status, code: plain(code), message },
    }
}

fn fields(details: Details) -> Vec<String> {
    let described = |field: Field| match field.messages.first() {
        Some(message) => format!("{}: {}", plain(&field.name), plain(message)),
        None => plain(&field.name),
    };
    details.fields.into_iter().take(20).map(described).collect()
}

/// A text of the outside in a form that may go into a log line or a condition.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS).collect()
}

/// Whether the error says that what was asked for is true already.
pub(super) fn says_already_so(error: &CloudError) -> bool {
    const ALREADY_SO: [&str; 6] = [
        "already_in_placement_group",
        "firewall_already_applied",
        "load_balancer_already_attached",
        "server_already_added",
        "server_already_attached",
        "target_already_defined",
    ];
    matches!(error, CloudError::Other { code, .. } if ALREADY_SO.contains(&code.as_str()))
}

/// Whether the error says that what was to be removed is not there.
pub(super) fn says_not_there(error: &CloudError) -> bool {
    const NOT_THERE: [&str; 2] = ["load_balancer_not_attached_to_network", "load_balancer_target_not_found"];
    matches!(error, CloudError::NotFound { .. })
        || matches!(error, CloudError::Other { code, .. } if NOT_THERE.contains(&code.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> CloudError {
        read(status, body.as_bytes(), &Subject::named("server", "dev-cp-0"), "https://api.example/v1")
    }

    fn coded(status: u16, code: &str) -> CloudError {
        answer(status, &format!(r#"{{"error":{{"code":"{code}","message":"words","details":null}}}}"#))
    }

    #[test]
    fn codes_become_the_errors_that_the_engine_acts_on() {
        let reasons = [
            (401, "unauthorized", "Unauthorized"),
            (401, "token_readonly", "Forbidden"),
            (403, "forbidden", "Forbidden"),
            (403, "resource_limit_exceeded", "LimitExceeded"),
            (404, "not_found", "NotFound"),
            (409, "uniqueness_error", "NameTaken"),
            (409, "conflict", "Conflict"),
            (412, "resource_unavailable", "CapacityUnavailable"),
            (422, "placement_error", "CapacityUnavailable"),
            (422, "placement_group_member_limit_reached", "LimitExceeded"),
            (422, "invalid_input", "InvalidRequest"),
            (422, "resource_in_use", "InUse"),
            (423, "locked", "Locked"),
            (423, "protected", "Protected"),
            (403, "maintenance", "HetznerError"),
            (410, "deprecated_api_endpoint", "HetznerError"),
            (422, "service_error", "HetznerError"),
            (503, "unavailable", "HetznerError"),
            (418, "a_code_of_tomorrow", "HetznerError"),
        ];
        for (status, code, reason) in reasons {
            assert_eq!(coded(status, code).reason(), reason, "{status} {code}");
        }
    }

    #[test]
    fn an_unknown_code_is_kept() {
        let expected = CloudError::Other { status: 418, code: "a_code_of_tomorrow".into(), message: "words".into() };
        assert_eq!(coded(418, "a_code_of_tomorrow"), expected);
    }

    #[test]
    fn only_a_failure_of_the_backend_leaves_the_outcome_open() {
        assert!(coded(500, "server_error").is_ambiguous());
        assert!(answer(502, "<html>bad gateway</html>").is_ambiguous());
        assert!(!coded(422, "service_error").is_ambiguous());
        assert!(!coded(409, "conflict").is_ambiguous());
    }

    #[test]
    fn refused_input_names_its_fields() {
        let body = r#"{"error":{"code":"invalid_input","message":"invalid input in field 'labels'",
            "details":{"fields":[{"name":"labels","messages":["too long"]},{"name":"user_data"}]}}}"#;
        let CloudError::Invalid { fields, .. } = answer(422, body) else { panic!("must be Invalid") };
        assert_eq!(fields, ["labels: too long", "user_data"]);
    }

    #[test]
    fn a_bare_404_is_not_taken_for_a_resource_that_is_gone() {
        assert_eq!(answer(404, "404 page not found").reason(), "MalformedAnswer");
        assert_eq!(answer(404, r#"{"message":"no route"}"#).reason(), "MalformedAnswer");
        assert_eq!(answer(401, "").reason(), "Unauthorized");
    }

    #[test]
    fn messages_are_short_and_on_one_line() {
        let body = format!(r#"{{"error":{{"code":"conflict","message":"a\nb{}"}}}}"#, "x".repeat(10_000));
        let CloudError::Conflict { message } = answer(409, &body) else { panic!("must be Conflict") };
        assert!(message.starts_with("abx"));
        assert_eq!(message.chars().count(), MESSAGE_CHARS);
    }
}

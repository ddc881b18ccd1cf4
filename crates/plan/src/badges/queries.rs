//! What Prometheus is asked for each badge, and what its answer says. One query tells value and age together.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Reading;

/// The label by which an answer tells its two parts apart.
pub const PART: &str = "part";
/// The value of that label on the measured value.
pub const VALUE: &str = "value";
/// The value of that label on the time, in seconds since 1970, at which it was measured.
pub const AT: &str = "at";

/// An instant query finds nothing of a target that is gone; this finds, to within five minutes, when there was something last.
const WITHIN: &str = "[6h:5m]";

/// The query for a badge, about the platform of this namespace and name where that matters. `None` where a platform has
/// to be named, and where the badge is not Prometheus'.
#[must_use]
pub fn query(slug: &str, platform: Option<(&str, &str)>) -> Option<String> {
    match slug {
        "uptime" => {
            let ready = ready(platform?);
            let over = |function: &str| {
                format!("sum({})", ready.each_ref().map(|one| format!("{function}({one}[30d])")).join(" or "))
            };
            let value = format!("100 * {} / {}", over("sum_over_time"), over("count_over_time"));
            Some(both(&value, &ready.each_ref().map(|one| newest(one)).join(" or ")))
        }
        "latency" => {
            let buckets = r#"rate(apiserver_request_duration_seconds_bucket{verb!~"WATCH|WATCHLIST|CONNECT"}[5m])"#;
            let value = format!("1000 * histogram_quantile(0.99, sum by (le) ({buckets}))");
            Some(both(&value, &newest("apiserver_request_duration_seconds_count")))
        }
        "error_rate" => {
            let rate = |which: &str| format!("sum(rate(apiserver_request_total{which}[5m]))");
            let failed = rate(r#"{code=~"5.."}"#);
            // No error was ever counted: that is none, where anything was counted at all.
            let value = format!("100 * ({failed} or 0 * {all}) / {all}", all = rate(""));
            Some(both(&value, &newest("apiserver_request_duration_seconds_count")))
        }
        "redis_hit_rate" => {
            let rate = |which: &str| format!("sum(rate(redis_keyspace_{which}_total[1h]))");
            let value = format!("100 * {hits} / ({hits} + {misses})", hits = rate("hits"), misses = rate("misses"));
            Some(both(&value, &newest("redis_keyspace_hits_total")))
        }
        "alerts" => {
            // Prometheus' own watchdog, which always fires, has the severity `none`.
            let value = r#"count(ALERTS{alertstate="firing",severity!="none"}) or vector(0)"#;
            Some(both(value, "vector(time())"))
        }
        "prometheus_metrics" => Some(both("sum(scrape_samples_scraped)", &newest("scrape_samples_scraped"))),
        _ => None,
    }
}

/// Whether the platform was Ready. Where the scrape itself says a namespace, the operator's own has another label.
fn ready((namespace, name): (&str, &str)) -> [String; 2] {
    let quoted = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
    let (namespace, name) = (quoted(namespace), quoted(name));
    [
        format!(r#"helix_platform_ready{{platform="{name}",exported_namespace="{namespace}"}}"#),
        format!(r#"helix_platform_ready{{platform="{name}",namespace="{namespace}",exported_namespace=""}}"#),
    ]
}

fn newest(series: &str) -> String {
    format!("max(timestamp({series})) or max(max_over_time(timestamp({series}){WITHIN}))")
}

fn both(value: &str, at: &str) -> String {
    let part = |of: &str, part: &str| format!(r#"label_replace({of}, "{PART}", "{part}", "", "")"#);
    format!("{} or {}", part(value, VALUE), part(&format!("max({at})"), AT))
}

/// What the answer to [`query`] says: pairs of labels and value.
#[must_use]
pub fn of_metrics(answer: &[(BTreeMap<String, String>, f64)]) -> Reading {
    let part = |wanted: &str| {
        answer.iter().find(|(labels, _)| labels.get(PART).is_some_and(|part| part == wanted)).map(|(_, value)| *value)
    };
    let at = match part(AT) {
        None => return Reading::failed("Prometheus has no such series: have it scraped"),
        Some(seconds) => match time(seconds) {
            Some(at) => at,
            None => {
                return Reading::failed(format!("Prometheus says that it was measured at {seconds}, which is no time"));
            }
        },
    };
    match part(VALUE) {
        Some(value) => Reading::number(value, at),
        None => Reading::Vanished { at },
    }
}

fn time(seconds: f64) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok()
}

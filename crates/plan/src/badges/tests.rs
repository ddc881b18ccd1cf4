//! Every badge by its row: what it says of good and bad readings, and of those that mean nothing.

use std::collections::{BTreeMap, BTreeSet};

use helix_crds::{CostStatus, HelixPlatformStatus, MachineCounts, PhaseName, PhaseState, PhaseStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Color::{Blue, BrightGreen, Green, LightGrey, Orange, Red, Yellow};
use super::*;

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(age: SignedDuration) -> Timestamp {
    now() - age
}

fn fresh(measured: Measured) -> Reading {
    Reading::Observed { measured, at: ago(SignedDuration::from_secs(5)) }
}

fn judged(slug: &str, reading: &Reading) -> Judged {
    judge(row(slug).unwrap(), reading, now())
}

fn shows(slug: &str, measured: Measured) -> (String, Color) {
    let judged = judged(slug, &fresh(measured));
    assert!(!judged.badge.is_error && !judged.is_amiss, "{slug}: {:?}", judged.why);
    (judged.badge.message, judged.badge.color)
}

fn of(well: u64, all: u64) -> Measured {
    Measured::Share { well, all }
}

#[test]
fn each_threshold_has_its_colour() {
    use Measured::{Findings, Number, Phase, Verdict};
    let verdict = |good| Verdict { good, of: "25b143f".to_owned() };
    let found = |critical, high, all| Findings { critical, high, all };
    let table: &[(&str, Measured, &str, Color)] = &[
        ("uptime", Number(100.0), "100%", BrightGreen),
        ("uptime", Number(99.999), "99.99%", BrightGreen),
        ("uptime", Number(99.9), "99.9%", BrightGreen),
        ("uptime", Number(99.899), "99.89%", Green),
        ("uptime", Number(98.0), "98%", Yellow),
        ("uptime", Number(90.0), "90%", Orange),
        ("uptime", Number(89.9), "89.9%", Red),
        ("latency", Number(4.25), "4.2 ms", BrightGreen),
        ("latency", Number(100.1), "100 ms", Green),
        ("latency", Number(999.0), "999 ms", Yellow),
        ("latency", Number(2500.0), "2.5 s", Orange),
        ("latency", Number(3001.0), "3.0 s", Red),
        ("error_rate", Number(0.0), "0%", BrightGreen),
        ("error_rate", Number(0.001), "0.01%", BrightGreen),
        ("error_rate", Number(1.0), "1%", Green),
        ("error_rate", Number(2.0), "2%", Yellow),
        ("error_rate", Number(5.0), "5%", Orange),
        ("error_rate", Number(5.01), "5.01%", Red),
        ("redis_hit_rate", Number(95.0), "95%", BrightGreen),
        ("redis_hit_rate", Number(80.0), "80%", Green),
        ("redis_hit_rate", Number(60.0), "60%", Yellow),
        ("redis_hit_rate", Number(25.0), "25%", Orange),
        ("redis_hit_rate", Number(3.0), "3%", Red),
        ("alerts", Number(0.0), "0 firing", BrightGreen),
        ("alerts", Number(1.0), "1 firing", Orange),
        ("alerts", Number(3.0), "3 firing", Red),
        ("prometheus_metrics", Number(0.0), "0 series", Red),
        ("prometheus_metrics", Number(12_345.0), "12.3k series", Blue),
        ("prometheus_metrics", Number(2_500_000.0), "2.5M series", Blue),
        ("grafana_dashboards", Number(0.0), "0 dashboards", Red),
        ("grafana_dashboards", Number(1.0), "1 dashboard", Blue),
        ("cost", Number(58.17), "58.17 EUR per month", Blue),
        ("machines", of(5, 5), "5/5 ready", BrightGreen),
        ("machines", of(4, 5), "4/5 ready", Yellow),
        ("machines", of(2, 5), "2/5 ready", Orange),
        ("machines", of(0, 5), "0/5 ready", Red),
        ("argo_syncs", of(12, 13), "12/13 synced", Yellow),
        ("cnpg_status", of(1, 1), "1/1 healthy", BrightGreen),
        ("longhorn_health", of(0, 0), "none", LightGrey),
        ("netbird_peers", of(1, 3), "1/3 connected", Orange),
        ("deploys", Number(0.0), "0 in 30 days", Blue),
        ("rollbacks", Number(0.0), "0 in 30 days", BrightGreen),
        ("rollbacks", Number(1.0), "1 in 30 days", Yellow),
        ("rollbacks", Number(3.0), "3 in 30 days", Red),
        ("hardened_core", Phase(PhaseState::Ready), "ready", BrightGreen),
        ("immutable_substrate", Phase(PhaseState::Progressing), "progressing", Yellow),
        ("security_weave", Phase(PhaseState::Pending), "pending", LightGrey),
        ("gitops_control_plane", Phase(PhaseState::Blocked), "blocked", Red),
        ("state_and_data_ha", Phase(PhaseState::Unknown), "not observed", Orange),
        ("ai_agentic", Phase(PhaseState::NotRequested), "not requested", LightGrey),
        ("build", verdict(true), "passing 25b143f", BrightGreen),
        ("build", verdict(false), "failing 25b143f", Red),
        ("trivy", found(0, 0, 0), "nothing found", BrightGreen),
        ("trivy", found(0, 0, 7), "7 low or medium", Green),
        ("trivy", found(0, 2, 7), "2 high", Orange),
        ("trivy", found(1, 2, 7), "1 critical, 2 high", Red),
        ("sbom", Number(412.0), "412 components", Blue),
        ("sbom", Number(0.0), "0 components", Red),
        ("cosign", Number(2.0), "2 verified", BrightGreen),
        ("cosign", Number(0.0), "0 verified", Red),
    ];
    for (slug, measured, message, color) in table {
        assert_eq!(shows(slug, measured.clone()), ((*message).to_owned(), *color), "{slug} of {measured:?}");
    }
    let shown: BTreeSet<&str> = table.iter().map(|(slug, ..)| *slug).collect();
    assert_eq!(shown, ROWS.iter().map(|row| row.slug).collect(), "each badge is in the table");
}

#[test]
fn rows_are_told_apart_and_well_formed() {
    let slugs: BTreeSet<&str> = ROWS.iter().map(|row| row.slug).collect();
    assert_eq!(slugs.len(), ROWS.len());
    for row in ROWS {
        assert!(row.slug.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", row.slug);
        assert!(!row.label.is_empty() && row.bound > SignedDuration::ZERO, "{}", row.slug);
        let asked = query(row.slug, Some(("n", "p"))).is_some();
        assert_eq!(asked, row.source == Source::Prometheus, "{}", row.slug);
    }
    let phases: Vec<PhaseName> = ROWS.iter().filter_map(|row| row.phase).collect();
    assert_eq!(phases, PhaseName::ALL);
}

/// Anything that the scale of a row can show.
fn plausible(row: &Row) -> Measured {
    match row.scale {
        Scale::Percent(_) | Scale::Milliseconds(_) | Scale::Count(..) | Scale::Euros(_) => Measured::Number(50.0),
        Scale::Share(_) => of(2, 3),
        Scale::Phase => Measured::Phase(PhaseState::Ready),
        Scale::Verdict(_) => Measured::Verdict { good: true, of: "25b143f".to_owned() },
        Scale::Findings => Measured::Findings { critical: 0, high: 0, all: 0 },
    }
}

#[test]
fn what_is_not_observed_is_unknown_and_what_is_old_is_stale() {
    for row in ROWS {
        let second = SignedDuration::from_secs(1);
        let at = |at| Reading::Observed { measured: plausible(row), at };
        let of = |reading: &Reading| judge(row, reading, now());
        assert!(!of(&at(ago(row.bound))).badge.is_error, "{}", row.slug);

        let stale = of(&at(ago(row.bound + second)));
        assert_eq!((stale.badge.message.as_str(), stale.badge.color), ("stale", Red), "{}", row.slug);
        assert!(stale.badge.is_error && stale.is_amiss && stale.value.is_none());
        assert_eq!(of(&Reading::Vanished { at: ago(row.bound + second) }).badge.message, "stale");

        let future = at(now() + CLOCK_TOLERANCE + second);
        let unknown = [
            future,
            Reading::failed("x"),
            Reading::Vanished { at: now() },
            Reading::NotAsked { remedy: "y".to_owned() },
        ];
        for reading in unknown {
            let judged = of(&reading);
            assert_eq!((judged.badge.message.as_str(), judged.badge.color), ("unknown", Color::Grey), "{reading:?}");
            assert!(judged.badge.is_error && judged.value.is_none() && judged.why.is_some());
            assert_eq!(judged.is_amiss, !matches!(reading, Reading::NotAsked { .. }));
        }
        assert!(!of(&at(now() + CLOCK_TOLERANCE)).badge.is_error, "clocks differ a little");
    }
}

#[test]
fn nonsense_is_unknown_and_says_what_is_wrong_with_it() {
    for row in ROWS {
        let wrong = |measured| {
            let judged = judge(row, &fresh(measured), now());
            assert!(judged.badge.is_error && judged.is_amiss, "{}: {:?}", row.slug, judged.badge);
            assert_eq!((judged.badge.message.as_str(), judged.badge.color), ("unknown", Color::Grey));
            judged.why.unwrap()
        };
        match row.scale {
            Scale::Percent(_) | Scale::Milliseconds(_) | Scale::Count(..) | Scale::Euros(_) => {
                assert!(wrong(Measured::Number(f64::NAN)).contains("NaN"));
                assert!(wrong(Measured::Number(f64::INFINITY)).contains("infinite"));
                assert!(wrong(Measured::Number(f64::NEG_INFINITY)).contains("infinite"));
                assert!(wrong(Measured::Number(-1.0)).contains("less than nothing"));
            }
            _ => drop(wrong(Measured::Number(1.0))),
        }
        match row.scale {
            Scale::Percent(_) => assert!(wrong(Measured::Number(100.1)).contains("100 per cent")),
            Scale::Share(_) => assert!(wrong(of(3, 2)).contains("3 of 2")),
            _ => drop(wrong(of(1, 2))),
        }
    }
}

#[test]
fn a_badge_is_what_shields_takes() {
    let badge = judged("uptime", &fresh(Measured::Number(99.98))).badge;
    let json = serde_json::json!({"schemaVersion": 1, "label": "uptime", "message": "99.98%", "color": "brightgreen",
        "isError": false, "cacheSeconds": 300});
    assert_eq!(serde_json::to_value(badge).unwrap(), json);
    let unknown = serde_json::to_value(judged("trivy", &Reading::failed("x")).badge).unwrap();
    let json = serde_json::json!({"schemaVersion": 1, "label": "trivy", "message": "unknown", "color": "grey",
        "isError": true, "namedLogo": "trivy", "cacheSeconds": 300});
    assert_eq!(unknown, json);
}

#[test]
fn an_answer_of_prometheus_tells_value_and_age() {
    let part = |part: &str, value: f64| (BTreeMap::from([(PART.to_owned(), part.to_owned())]), value);
    let at = ago(SignedDuration::from_secs(5));
    let seconds = 1_795_262_395.0;
    assert_eq!(of_metrics(&[part(AT, seconds), part(VALUE, 7.0)]), Reading::number(7.0, at));
    assert_eq!(of_metrics(&[part(AT, seconds)]), Reading::Vanished { at });
    for nothing in [vec![], vec![part(VALUE, 7.0)], vec![part(AT, f64::NAN), part(VALUE, 7.0)], vec![part(AT, 1e300)]] {
        assert!(matches!(of_metrics(&nothing), Reading::Failed { .. }), "{nothing:?}");
    }
}

#[test]
fn a_platforms_name_cannot_leave_its_quotes() {
    let query = query("uptime", Some((r#"n"} or up{x=""#, r"p\"))).unwrap();
    assert!(query.contains(r#"namespace="n\"} or up{x=\"""#), "{query}");
    assert!(query.contains(r#"platform="p\\""#), "{query}");
    assert_eq!(super::query("uptime", None), None);
}

fn application(is_synced: bool, history: &[(&str, i64)]) -> Application {
    let deployment = |(revision, days): &(&str, i64)| Deployment {
        revision: (*revision).to_owned(),
        at: ago(SignedDuration::from_hours(24 * days)),
    };
    Application { is_synced, is_automated: true, history: history.iter().map(deployment).collect() }
}

#[test]
fn deploys_and_rollbacks_are_counted_in_the_history() {
    let numbers = |applications: &[Application]| {
        of_applications(applications, now()).map(|(slug, reading)| judged(slug, &reading).badge.message)
    };
    let forward = application(true, &[("a", 40), ("b", 20), ("c", 10)]);
    assert_eq!(numbers(std::slice::from_ref(&forward)), ["1/1 synced", "2 in 30 days", "0 in 30 days"]);
    // Back to what was synced before the last 30 days; a second sync of the same is no way back.
    let back = application(false, &[("a", 40), ("b", 20), ("a", 10), ("a", 5)]);
    let shown = Application { is_automated: false, ..application(false, &[]) };
    assert_eq!(numbers(&[forward.clone(), shown])[0], "1/1 synced", "nobody syncs what is only shown");
    assert_eq!(numbers(&[forward, back]), ["1/2 synced", "5 in 30 days", "1 in 30 days"]);
    assert_eq!(numbers(&[]), ["none", "0 in 30 days", "0 in 30 days"]);
}

#[test]
fn volumes_that_rest_are_left_out_and_faulted_ones_are_not() {
    let volume = |is_attached, robustness: &str| Volume { is_attached, robustness: robustness.to_owned() };
    let shown = |volumes: &[Volume]| judged("longhorn_health", &of_volumes(volumes, now())).badge.message;
    assert_eq!(shown(&[volume(true, "healthy"), volume(false, "unknown")]), "1/1 healthy");
    assert_eq!(shown(&[volume(true, "healthy"), volume(true, "degraded")]), "1/2 healthy");
    // Longhorn detaches what has no copy left.
    assert_eq!(shown(&[volume(false, "faulted")]), "0/1 healthy");
    assert_eq!(judged("cnpg_status", &of_databases(&[true, false], now())).badge.message, "1/2 healthy");
}

fn status(state: PhaseState, ready: u32, cost: &str) -> HelixPlatformStatus {
    let evidence = helix_crds::Evidence {
        what: "etcd has 3 of 3 voters healthy".to_owned(),
        observed_at: Time(ago(SignedDuration::from_mins(3))),
    };
    let phase = |name| PhaseStatus {
        name,
        state: if name == PhaseName::HardenedCore { state } else { PhaseState::NotRequested },
        since: Some(Time(ago(SignedDuration::from_hours(5)))),
        message: (state == PhaseState::Blocked && name == PhaseName::HardenedCore)
            .then(|| "no | capacity\nin <fsn1>".to_owned()),
        evidence: if name == PhaseName::HardenedCore { vec![evidence.clone()] } else { Vec::new() },
    };
    HelixPlatformStatus {
        phases: PhaseName::ALL.map(phase).to_vec(),
        machines: Some(MachineCounts::new(5, ready, 5)),
        cost: Some(CostStatus { monthly: cost.to_owned(), source: None }),
        ..HelixPlatformStatus::default()
    }
}

#[test]
fn a_status_is_read_by_the_age_of_its_evidence() {
    let shown = |status: Option<&HelixPlatformStatus>| -> BTreeMap<&str, String> {
        of_platform(status).into_iter().map(|(slug, reading)| (slug, judged(slug, &reading).badge.message)).collect()
    };
    let before = shown(Some(&status(PhaseState::Ready, 5, "58.17 EUR")));
    let after = shown(Some(&status(PhaseState::Blocked, 4, "70.00 EUR")));
    for (slug, well, ill) in [
        ("hardened_core", "ready", "blocked"),
        ("machines", "5/5 ready", "4/5 ready"),
        ("cost", "58.17 EUR per month", "70.00 EUR per month"),
        ("ai_agentic", "not requested", "not requested"),
    ] {
        assert_eq!((before[slug].as_str(), after[slug].as_str()), (well, ill), "{slug}");
    }
    assert_eq!(before.len(), ROWS.iter().filter(|row| row.source == Source::Management).count());
    assert_eq!(shown(Some(&status(PhaseState::Ready, 5, "a lot")))["cost"], "unknown");
    let bare = HelixPlatformStatus::default();
    for nothing in [None, Some(&bare)] {
        assert!(shown(nothing).values().all(|message| message == "unknown"));
    }
}

#[test]
fn history_is_bounded_and_survives_a_broken_line() {
    let badges = [judged("uptime", &fresh(Measured::Number(99.98))), judged("alerts", &Reading::failed("x"))];
    let mut history = History::read("{\"at\":\"2026-11-20T00:00:00Z\",\"values\":{\"uptime\":1}}\n\nhalf a li");
    assert_eq!(history.unreadable(), 1);
    history.add(&badges, now());
    let text = history.text().unwrap();
    let last = "{\"at\":\"2026-11-21T12:00:00Z\",\"values\":{\"uptime\":99.98}}";
    assert_eq!(text.lines().last(), Some(last));
    assert_eq!(text.lines().count(), 2);
    for _ in 0..HISTORY_LINES {
        history.add(&badges, now());
    }
    let text = history.text().unwrap();
    assert_eq!(text.lines().count(), HISTORY_LINES);
    assert_eq!(History::read(&text), {
        history = History::read(&history.text().unwrap());
        history
    });
}

fn incident(reason: &str, last: SignedDuration) -> Incident {
    Incident {
        about: "HelixPlatform prod".to_owned(),
        reason: reason.to_owned(),
        message: "it | broke".to_owned(),
        first: ago(SignedDuration::from_hours(24 * 40)),
        last: ago(last),
        count: 1,
    }
}

#[test]
fn incidents_outlive_their_events_for_thirty_days() {
    let day = |days: i64| SignedDuration::from_hours(24 * days);
    let mut incidents = Incidents::default();
    incidents.add(vec![incident("Old", day(31)), incident("Late", day(29)), incident("New", day(1))], now());
    let mut again = Incidents::read(&incidents.text().unwrap());
    assert_eq!(again, incidents);
    again.add(vec![Incident { count: 4, ..incident("Late", SignedDuration::ZERO) }], now());
    let told: Vec<(&str, u64)> = again.as_slice().iter().map(|it| (it.reason.as_str(), it.count)).collect();
    assert_eq!(told, [("Late", 4), ("New", 1)]);
    assert_eq!(Incidents::read("nonsense\n").unreadable(), 1);
}

#[test]
fn the_page_shows_what_was_observed_and_lets_no_text_out_of_its_cell() {
    let status = status(PhaseState::Blocked, 5, "58.17 EUR");
    let phases = phases(&status);
    let badges: Vec<Judged> =
        ROWS.iter().map(|row| judge(row, &Reading::failed("Prometheus | is `down`"), now())).collect();
    let incidents = [incident("EtcdLost", SignedDuration::from_hours(1))];
    let of = |incidents| {
        page(&Page {
            platform: Some(("helix-system", "prod")),
            note: Some("Of a sandbox."),
            phases: &phases,
            badges: &badges,
            incidents,
            directory: "metrics",
            now: now(),
        })
    };
    let text = of(Ok(&incidents));
    for line in [
        "# Status of helix-system/prod",
        "> Of a sandbox.",
        "[**uptime** unknown](metrics/uptime.json) ·",
        "| `HardenedCore` | Blocked | 2026-11-21T07:00:00Z | no \\| capacity in &lt;fsn1&gt;<br>etcd has 3 of 3 voters \
         healthy | 3 min |",
        "| `AiAgentic` | NotRequested |  |  |  |",
        "flowchart LR",
        "| 2026-11-21T11:00:00Z | HelixPlatform prod | EtcdLost | it \\| broke | 1 |",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    for table in text.split("\n\n").filter(|block| block.starts_with('|')) {
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let width = table.lines().next().map(columns).unwrap();
        assert!(table.lines().all(|line| columns(line) == width), "{table}");
    }
    assert!(of(Ok(&[])).contains("No warning was told."));
    assert!(of(Err("it is down")).contains("Events could not be read: it is down."));
}

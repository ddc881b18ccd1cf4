//! What a diagram holds, whatever the platform and whatever was seen of it. Whole texts are golden in `helix-cli`'s tests.

use std::collections::BTreeSet;

use helix_crds::{HelixMachine, HelixMachineSpec, HelixMachineStatus, HelixPlatform, PhaseState, PhaseStatus};
use helix_crds::{HelixPlatformStatus, PhaseName};
use jiff::Timestamp;

use super::*;
use crate::catalogue::dated_table;

fn platform(change: impl FnOnce(&mut HelixPlatform)) -> ValidatedPlatform {
    let text = include_str!("../../../../../manifests/examples/full.yaml");
    let mut platform: HelixPlatform = serde_saphyr::from_str(text).unwrap();
    change(&mut platform);
    let now = Timestamp::UNIX_EPOCH;
    ValidatedPlatform::new(&platform, &dated_table(), now).unwrap_or_else(|rejections| panic!("{rejections}"))
}

fn machine(name: &str, pool: &str, slot: u32, status: HelixMachineStatus) -> HelixMachine {
    let spec = HelixMachineSpec { platform: "prod".to_owned(), pool: pool.to_owned(), slot };
    let mut machine = HelixMachine::new(name, spec);
    machine.status = Some(status);
    machine
}

fn status(name: PhaseName, state: PhaseState, message: &str) -> HelixPlatformStatus {
    let message = Some(message.to_owned());
    let phases = vec![PhaseStatus { name, state, since: None, message, evidence: Vec::new() }];
    HelixPlatformStatus { phases, ..HelixPlatformStatus::default() }
}

/// Every line is one of the few that are written here, however hostile the platform.
#[track_caller]
fn is_well_formed(text: &str) {
    let mut depth = 0_usize;
    for line in text.lines().skip(3) {
        let line = line.trim_start();
        match line {
            _ if line.starts_with("subgraph n") => depth += 1,
            "end" => depth -= 1,
            _ => assert!(["n", "class", "direction "].iter().any(|known| line.starts_with(known)), "{line}"),
        }
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
    }
    assert_eq!(depth, 0, "{text}");
}

#[test]
fn texts_of_users_stay_in_their_labels() {
    let hostile = "hostile\"] --> y\nend\n%%{init: {}}%%";
    let platform = platform(|platform| {
        platform.metadata.namespace = Some(hostile.to_owned());
        let weave = platform.spec.security_weave.as_mut().unwrap();
        let domains = &mut weave.ingress.as_mut().unwrap().domains;
        domains[0].service.name = hostile.to_owned();
        domains[0].issuer = hostile.to_owned();
        weave.netbird.as_mut().unwrap().api_key_secret_ref.name = hostile.to_owned();
    });
    let seen = Seen::of(
        Some(&status(PhaseName::HardenedCore, PhaseState::Blocked, hostile)),
        &[machine("prod-cp-0", "cp", 0, HelixMachineStatus { state: Some(hostile.to_owned()), ..Default::default() })],
    );
    for view in [View::Network, View::Phases, View::All] {
        let text = diagram(&platform, view, Some(&seen));
        is_well_formed(&text);
        assert!(!text.contains("%%") && !text.contains("hostile\""), "{text}");
    }
}

#[test]
fn the_same_platform_gives_the_same_text() {
    let text = |view| diagram(&platform(|_| {}), view, None);
    assert_eq!(text(View::All), text(View::All));
    assert_ne!(text(View::Network), text(View::Phases));
}

#[test]
fn a_large_pool_is_one_node_with_its_number() {
    let many = platform(|platform| platform.spec.worker_pools[0].replicas = Some(40));
    let text = diagram(&many, View::Network, None);
    assert!(text.contains("\"40 machines<br/>40 x cx33\""), "{text}");
    assert!(!text.contains("prod-general-0"), "{text}");
    let ready = HelixMachineStatus {
        ready: true,
        location: Some("fsn1".to_owned()),
        server_type: Some("cx33".to_owned()),
        ..HelixMachineStatus::default()
    };
    let machines: Vec<HelixMachine> =
        (0..13).map(|slot| machine(&format!("prod-general-{slot}"), "general", slot, ready.clone())).collect();
    let text = diagram(&many, View::Network, Some(&Seen::of(None, &machines)));
    assert!(text.contains("13 ready") && text.contains(" unknown\""), "{text}");
}

#[test]
fn each_machine_is_where_it_would_be_made_or_was_seen() {
    let platform = platform(|_| {});
    let text = diagram(&platform, View::Network, None);
    let after = |location: &str| text.split_once(&format!("Location {location}")).unwrap().1;
    assert!(after("nbg1").contains("prod-cp-1<br/>cpx32"), "{text}");
    let elsewhere = HelixMachineStatus {
        ready: true,
        location: Some("ash".to_owned()),
        server_type: Some("cpx31".to_owned()),
        ..HelixMachineStatus::default()
    };
    let seen = Seen::of(None, &[machine("prod-cp-7", "cp", 7, elsewhere)]);
    let text = diagram(&platform, View::Network, Some(&seen));
    assert!(text.contains("\"prod-cp-7<br/>cpx31<br/>ready\"]:::ready"), "{text}");
    assert!(text.contains("prod-cp-0<br/>cax21<br/>not made yet\"]:::unknown"), "{text}");
    assert!(!text.contains("prod-cp-2<"), "three control planes are wanted: {text}");
}

#[test]
fn what_was_seen_is_said_in_words_too() {
    let seen = Seen::of(Some(&status(PhaseName::HardenedCore, PhaseState::Blocked, "no image")), &[]);
    let text = diagram(&platform(|_| {}), View::Phases, Some(&seen));
    assert!(text.contains("([\"Blocked<br/>no image\"]):::blocked"), "{text}");
    assert!(text.contains("([\"not seen yet\"]):::unknown"), "{text}");
    assert!(text.contains("classDef blocked fill:"), "{text}");
    assert!(!diagram(&platform(|_| {}), View::All, None).contains("class"), "nothing was seen");
}

/// A platform that stops early has neither a cluster's policies nor components to draw.
#[test]
fn a_phase_that_is_not_requested_is_empty_and_says_so() {
    let early = platform(|platform| platform.spec.until_phase = PhaseName::ImmutableSubstrate);
    let text = diagram(&early, View::All, None);
    assert!(text.contains("([\"NotRequested\"])"), "{text}");
    assert!(!text.contains("\"Cluster\"") && !text.contains("cilium"), "{text}");
}

/// WCAG's contrast of two colours written as `#rrggbb`.
fn contrast(one: &str, other: &str) -> f64 {
    let channel = |colour: &str, at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let light = |c: &str| 0.2126 * channel(c, 1) + 0.7152 * channel(c, 3) + 0.0722 * channel(c, 5);
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_mark_is_readable_by_itself() {
    let styles: BTreeSet<&str> = Mark::ALL.into_iter().map(Mark::style).collect();
    assert_eq!(styles.len(), Mark::ALL.len());
    for style in styles {
        let of = |name: &str| style.split(',').find_map(|part| part.strip_prefix(name)).unwrap();
        assert!(contrast(of("fill:"), of("color:")) >= 7.0, "{style}");
    }
}

//! Shields' own renderer, the npm package `badge-maker`, takes every badge, good or bad, and draws its label and message.
//!
//! Needs Debian's Node and npm: `cargo xtask test` installs them. Without them, or without a package registry, the test says
//! so, and fails in CI.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use helix_plan::badges::{Badge, Measured, ROWS, Reading, Row, Scale, judge};
use serde_json::Value;

/// The version that is asked for.
const PACKAGE: &str = "badge-maker@6.0.0";

/// Where it is installed, below cargo's directory for what tests leave.
const DIRECTORY: &str = "badge-maker-6.0.0";

#[test]
fn shields_draws_every_badge() {
    let Some(directory) = installed() else { return };
    let badges: Vec<Badge> = ROWS.iter().flat_map(|row| readings(row).map(|reading| drawn(row, &reading))).collect();
    let mut node = Command::new("node");
    node.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e_badge_maker/draw.mjs")).current_dir(&directory);
    let input = directory.join("badges.json");
    fs::write(&input, serde_json::to_string(&badges).unwrap()).unwrap();
    let output = node.arg(&input).arg(&directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pictures: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(pictures.len(), badges.len());
    for (picture, badge) in pictures.iter().zip(&badges) {
        let picture = picture.as_str().unwrap();
        assert!(picture.starts_with("<svg") && picture.ends_with("</svg>"), "{picture}");
        let title = format!("<title>{}: {}</title>", badge.label, badge.message);
        assert!(picture.contains(&title), "{title} is not in {picture}");
    }
}

/// One that is well, one that is unknown, one that is stale.
fn readings(row: &Row) -> [Reading; 3] {
    let measured = match row.scale {
        Scale::Percent(_) | Scale::Milliseconds(_) | Scale::Count(..) | Scale::Euros(_) => Measured::Number(50.0),
        Scale::Share(_) => Measured::Share { well: 2, all: 3 },
        Scale::Phase => Measured::Phase(helix_crds::PhaseState::Ready),
        Scale::Verdict(_) => Measured::Verdict { good: true, of: "25b143f".to_owned() },
        Scale::Findings => Measured::Findings { critical: 1, high: 2, all: 7 },
    };
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    let old = "2020-01-01T00:00:00Z".parse().unwrap();
    [Reading::Observed { measured, at }, Reading::failed("it is down"), Reading::Vanished { at: old }]
}

fn drawn(row: &'static Row, reading: &Reading) -> Badge {
    judge(row, reading, "2026-11-21T12:00:30Z".parse().unwrap()).badge
}

/// The directory in which the package is; none where it cannot be had.
fn installed() -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(DIRECTORY);
    if directory.join("node_modules/badge-maker/package.json").is_file() {
        return Some(directory);
    }
    fs::create_dir_all(&directory).unwrap();
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]).current_dir(&directory);
    let output: Result<Output, _> = npm.output();
    let why = match output {
        Ok(output) if output.status.success() => return Some(directory),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => format!("npm can't be started: {error}"),
    };
    let remedy = format!("badges are not drawn: this test needs Node, npm and the package {PACKAGE} ({why})");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{remedy}");
    eprintln!("{remedy}");
    None
}

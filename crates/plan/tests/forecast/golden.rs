//! Golden scenarios: `tests/golden/<phase>/<name>.yaml` says what is wanted and what the world is like, `<name>.txt`
//! what comes of it. After a change that is meant, `HELIX_BLESS=1 cargo test -p helix-plan --test forecast` writes the
//! texts anew; the difference is then read like code.

use std::fs;
use std::path::{Path, PathBuf};

use helix_crds::{HelixPlatform, PhaseName};
use helix_plan::catalogue::dated_table;
use helix_plan::forecast::{assumed, forecast, forecast_teardown};
use helix_plan::observed::{CloudFacts, Observed, Setback, SetbackKind};
use helix_plan::validated::ValidatedPlatform;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::listing::listing;
use crate::loss::{Loss, befall};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Scenario {
    /// A file of `manifests/examples`; else `platform` holds the resource.
    example: Option<String>,
    platform: Option<HelixPlatform>,
    until_phase: Option<PhaseName>,
    /// Whether the platform is up; else nothing of it exists.
    #[serde(default)]
    up: bool,
    #[serde(default)]
    lost: Vec<Loss>,
    #[serde(default)]
    refused: Vec<Refused>,
    #[serde(default)]
    deleting: bool,
}

/// An attempt that was refused, by its target.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refused {
    target: String,
    #[serde(flatten)]
    why: Why,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Why {
    SoldOut { server_type: String, location: String },
    Foreign(String),
    Limit(String),
}

/// The moment of every scenario.
fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().expect("a time")
}

impl Refused {
    fn setback(&self) -> Setback {
        let kind = match &self.why {
            Why::SoldOut { server_type, location } => {
                SetbackKind::PlacementUnavailable { server_type: server_type.clone(), location: location.clone() }
            }
            Why::Foreign(name) => SetbackKind::ForeignResource { kind: "network", name: name.clone() },
            Why::Limit(message) => SetbackKind::LimitExceeded { message: message.clone() },
        };
        Setback { target: self.target.clone(), kind, at: now(), until: now() + SignedDuration::from_mins(10) }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn play(scenario: Scenario) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/examples");
    let mut platform: HelixPlatform = match (&scenario.example, scenario.platform) {
        (Some(name), None) => parse(&examples.join(format!("{name}.yaml"))),
        (None, Some(platform)) => platform,
        _ => panic!("a scenario has either `example` or `platform`"),
    };
    platform.metadata.uid = Some("9b1e22c4-0000-4000-8000-000000000000".to_owned());
    platform.spec.until_phase = scenario.until_phase.unwrap_or(platform.spec.until_phase);
    let validated = match ValidatedPlatform::new(&platform, &dated_table(), now()) {
        Ok(validated) => validated,
        Err(rejections) => return format!("refused ({})\n{rejections}\n", rejections.reason()),
    };
    let cloud = CloudFacts { images: assumed::images(&validated), ..CloudFacts::default() };
    let nothing = Observed::nothing(cloud, now());
    let mut world = match scenario.up {
        true => forecast(&validated, nothing, now()).world,
        false => nothing,
    };
    befall(&scenario.lost, &mut world);
    world.setbacks = scenario.refused.iter().map(Refused::setback).collect();
    if scenario.deleting {
        return listing(&forecast_teardown(&validated.identity, world, now()), None);
    }
    listing(&forecast(&validated, world, now()), Some(validated.until))
}

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = entries(&root).into_iter().filter(|path| path.is_dir());
    let mut files: Vec<PathBuf> = folders
        .flat_map(|folder| entries(&folder))
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_gives_what_its_text_says() {
    let bless = std::env::var_os("HELIX_BLESS").is_some();
    let mut different = Vec::new();
    for path in scenarios() {
        let told = play(parse(&path));
        let text = path.with_extension("txt");
        if bless {
            fs::write(&text, &told).expect("the golden file can be written");
        } else if read(&text) != told {
            different.push(format!("{}:\n{told}", path.display()));
        }
    }
    assert!(
        different.is_empty(),
        "not as the golden texts say (HELIX_BLESS=1 writes them anew):\n{}",
        different.join("\n")
    );
}

//! Golden scenarios: `tests/golden/<phase>/<name>.yaml` says what is wanted and what the world is like, `<name>.txt`
//! what comes of it. After a change that is meant, `HELIX_BLESS=1 cargo test -p helix-plan --test forecast` writes the
//! texts anew; the difference is then read like code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use helix_crds::{HelixPlatform, PhaseName, labels};
use helix_plan::catalogue::dated_table;
use helix_plan::data_gate::{DataFacts, VolumeCopies};
use helix_plan::farewell::Farewell;
use helix_plan::forecast::{assumed, forecast, forecast_teardown};
use helix_plan::names::MachineName;
use helix_plan::observed::{CloudFacts, Fact, Missing, Observed, Readiness, Setback, SetbackKind};
use helix_plan::validated::ValidatedPlatform;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

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
    /// What the platform asked for before, as a merge patch; by that it came up.
    before: Option<Value>,
    /// What it asks for now, as a merge patch.
    change: Option<Value>,
    /// Whether pods reach one another: nodes are Ready.
    #[serde(default)]
    pod_network: bool,
    /// Whether what waits for an approval gets it, and the way goes on.
    #[serde(default)]
    approved: bool,
    /// Whether what `spec.adopt` names is there, and fits; else the project has none of it.
    #[serde(default)]
    adoptable: bool,
    /// What asks for a rotation of the certificate authorities.
    rotate: Option<String>,
    /// Machines that nobody may touch.
    #[serde(default)]
    held: Vec<String>,
    /// Services of type LoadBalancer in the cluster, recorded and with their load balancers.
    #[serde(default)]
    services: Vec<String>,
    /// Claims in the cluster, whose volumes go with them.
    #[serde(default)]
    claims: Vec<String>,
    /// Volumes with the platform's label, at one of its servers.
    #[serde(default)]
    volumes: Vec<String>,
    /// Load balancers that are like those from inside the cluster, and are not proved to be.
    #[serde(default)]
    look_alikes: bool,
    /// Volumes with copies, by name: how many are wanted, and which nodes have a healthy one.
    #[serde(default)]
    copies: BTreeMap<String, Copies>,
    /// Whether nobody in the cluster answers.
    #[serde(default)]
    silent: bool,
    /// Machines whose replacement is asked for.
    #[serde(default)]
    replaced: Vec<String>,
}

/// Where the copies of a volume are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Copies {
    wanted: u32,
    healthy_on: BTreeSet<String>,
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
    platform.metadata.generation = Some(1);
    platform.spec.until_phase = scenario.until_phase.unwrap_or(platform.spec.until_phase);
    patch(&mut platform, scenario.before.as_ref());
    let was = match validated(&platform) {
        Ok(was) => was,
        Err(told) => return told,
    };
    patch(&mut platform, scenario.change.as_ref());
    if let Some(request) = &scenario.rotate {
        let annotations = platform.metadata.annotations.get_or_insert_default();
        annotations.insert(labels::ROTATE_CA.to_owned(), request.clone());
    }
    let wanted = match validated(&platform) {
        Ok(wanted) => wanted,
        Err(told) => return told,
    };
    let cloud = CloudFacts { images: assumed::images(&was), ..CloudFacts::default() };
    let mut nothing = Observed::nothing(cloud, now());
    nothing.adoptees = assumed::adoptees(&was, now());
    if !scenario.adoptable {
        nothing.adoptees.values_mut().for_each(|it| *it = Fact::known(None, now()));
    }
    let mut world = match scenario.up {
        true => forecast(&was, nothing, now()).world,
        false => nothing,
    };
    if scenario.change.is_some() {
        world.cloud.value_mut().expect("Hetzner is known").images.extend(assumed::images(&wanted));
    }
    if scenario.pod_network {
        let nodes = &mut world.kubernetes.value_mut().expect("it is up").nodes;
        nodes.iter_mut().for_each(|node| node.readiness = Readiness::Ready);
    }
    if !scenario.copies.is_empty() {
        world.kubernetes.value_mut().expect("it is up").data = Some(data(scenario.copies));
    }
    befall(&scenario.lost, &mut world);
    world.setbacks = scenario.refused.iter().map(Refused::setback).collect();
    let machine = |name: &String| MachineName::parse(name).expect("a machine's name");
    world.intents.hold = scenario.held.iter().map(machine).collect();
    let servers = world.cloud.value().expect("Hetzner is known").servers.iter();
    world.intents.replace = servers.filter(|it| scenario.replaced.contains(&it.name)).map(|it| it.id).collect();
    if scenario.deleting {
        crate::inside::befall(&scenario.services, &scenario.claims, &scenario.volumes, &was.identity, &mut world);
        if scenario.look_alikes {
            crate::inside::look_alikes(&mut world);
        }
        if scenario.silent {
            let why = Missing::Unreachable { who: "the Kubernetes API".to_owned(), why: "timed out".to_owned() };
            world.kubernetes = Fact::Missing(why);
        }
        let services = scenario.services.iter().map(|name| crate::inside::uid(name)).collect();
        let farewell = Farewell { services, ..Farewell::of(&platform, now()) };
        return listing(&forecast_teardown(&was.identity, &farewell, world, now()), None);
    }
    let told = forecast(&wanted, world.clone(), now());
    let text = listing(&told, Some(wanted.until));
    if !scenario.approved {
        return text;
    }
    let annotations = platform.metadata.annotations.get_or_insert_default();
    annotations.insert(labels::APPROVE.to_owned(), told.waits_for_approval.digest());
    let allowed = validated(&platform).expect("an annotation makes nothing wrong");
    let text_after = listing(&forecast(&allowed, told.world, now()), Some(wanted.until));
    format!("{text}\napproved\n\n{text_after}")
}

fn data(copies: BTreeMap<String, Copies>) -> DataFacts {
    let volume = |(name, it): (String, Copies)| VolumeCopies {
        name,
        wanted: it.wanted,
        robustness: "degraded".to_owned(),
        healthy_on: it.healthy_on,
    };
    DataFacts { volumes: copies.into_iter().map(volume).collect(), databases: Vec::new() }
}

fn validated(platform: &HelixPlatform) -> Result<ValidatedPlatform, String> {
    let validated = ValidatedPlatform::new(platform, &dated_table(), now());
    validated.map_err(|rejections| format!("refused ({})\n{rejections}\n", rejections.reason()))
}

/// Changes a specification as `kubectl patch --type merge` does.
fn patch(platform: &mut HelixPlatform, patch: Option<&Value>) {
    let Some(patch) = patch else { return };
    let mut spec = serde_json::to_value(&platform.spec).expect("a specification is JSON");
    merge(&mut spec, patch);
    platform.spec = serde_json::from_value(spec).expect("still a specification");
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => target.clone_from(patch),
    }
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

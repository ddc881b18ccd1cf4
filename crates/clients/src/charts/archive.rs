//! A chart's archive, before anything runs on it: how large it unpacks, that nothing in it leads out of it, which chart it
//! is, and which values it knows. Nothing is unpacked to disk; Helm reads the very archive that was looked at here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use helix_plan::components::values::KnownValues;
use serde::Deserialize;
use tar::{Archive, EntryType};

use super::{version, yaml};

/// Bytes that an archive may have when it is unpacked.
const LARGEST_UNPACKED: u64 = 128 << 20;
/// Bytes of a file that is read here.
const LARGEST_FILE: u64 = 8 << 20;
const MOST_FILES: usize = 20_000;
/// Charts within charts within a chart.
const DEEPEST: usize = 3;

/// What `Chart.yaml` says, as far as it matters here.
#[derive(Deserialize)]
struct Described {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    alias: Option<String>,
}

/// Reads what an archive is, and which values it knows; says what is wrong with it otherwise.
pub(super) fn read(archive: &[u8], name: &str, wanted: &str) -> Result<KnownValues, String> {
    let mut files = Files::default();
    files.take(archive, "", 0)?;
    let described = files.described("")?;
    if described.name != name || !version::same(&described.version, wanted) {
        return Err(format!("it is the chart {} {}", described.name, described.version));
    }
    if described.kind.as_deref() == Some("library") {
        return Err("it is a library for other charts, which renders nothing by itself".to_owned());
    }
    files.known("")
}

/// The few files of an archive that matter, by their path within the chart.
#[derive(Default)]
struct Files {
    texts: BTreeMap<String, String>,
    count: usize,
    bytes: u64,
}

impl Files {
    /// Takes from an archive what matters; it is the chart at `within` of the whole.
    fn take(&mut self, archive: &[u8], within: &str, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("it holds charts within charts, more than {DEEPEST} deep"));
        }
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        let left = LARGEST_UNPACKED.saturating_sub(self.bytes);
        let mut unpacked = Archive::new(MultiGzDecoder::new(archive).take(left));
        let mut packed = Vec::new();
        for entry in unpacked.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            self.count += 1;
            self.bytes = self.bytes.saturating_add(entry.size());
            if self.count > MOST_FILES || self.bytes > LARGEST_UNPACKED {
                return Err(format!("it has more than {MOST_FILES} files or {LARGEST_UNPACKED} bytes"));
            }
            let path = entry.path().map_err(unreadable)?.into_owned();
            let path = inner(&path).ok_or_else(|| format!("{} in it leads out of it", path.display()))?;
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {}
                EntryType::Directory | EntryType::XGlobalHeader => continue,
                _ => return Err(format!("{path} in it is a link or a device")),
            }
            let Some(role) = Role::of(&path) else { continue };
            if entry.size() > LARGEST_FILE {
                return Err(format!("{path} in it has more than {LARGEST_FILE} bytes"));
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(unreadable)?;
            match role {
                Role::Text => {
                    let text = String::from_utf8(content).map_err(|_| format!("{path} in it is no text"))?;
                    self.texts.insert(format!("{within}{path}"), text);
                }
                Role::Chart(name) => packed.push((format!("{within}charts/{name}/"), content)),
            }
        }
        packed.into_iter().try_for_each(|(within, content)| self.take(&content, &within, depth + 1))
    }

    fn described(&self, chart: &str) -> Result<Described, String> {
        let text = self.texts.get(&format!("{chart}Chart.yaml")).ok_or("it holds no Chart.yaml")?;
        yaml::one(text.as_bytes()).map_err(|error| format!("its {chart}Chart.yaml cannot be read: {error}"))
    }

    /// The values that a chart knows, with those of its subcharts.
    fn known(&self, chart: &str) -> Result<KnownValues, String> {
        let text = |file: &str| self.texts.get(&format!("{chart}{file}")).map(String::as_str);
        let schema = text("values.schema.json").map(serde_json::from_str).transpose();
        let schema = schema.map_err(|error| format!("its {chart}values.schema.json is no JSON: {error}"))?;
        let values = text("values.yaml").filter(|text| !text.trim().is_empty()).unwrap_or("{}");
        let mut known = KnownValues::read(values, schema).map_err(|error| error.to_string())?;
        let below = format!("{chart}charts/");
        let subcharts: BTreeSet<&str> =
            self.texts.keys().filter_map(|at| at.strip_prefix(&below)?.split('/').next()).collect();
        if subcharts.is_empty() {
            return Ok(known);
        }
        let dependencies = self.described(chart)?.dependencies;
        for directory in subcharts {
            let at = format!("{below}{directory}/");
            let Ok(subchart) = self.described(&at) else { continue };
            let values = self.known(&at)?;
            let keys = dependencies.iter().filter(|it| it.name == subchart.name);
            let keys: BTreeSet<&str> = keys.map(|it| it.alias.as_ref().unwrap_or(&it.name).as_str()).collect();
            let keys = if keys.is_empty() { BTreeSet::from([subchart.name.as_str()]) } else { keys };
            for key in keys {
                known = known.with_subchart(key, values.clone());
            }
        }
        Ok(known)
    }
}

/// What a file is to us.
enum Role {
    Text,
    /// An archive of a subchart.
    Chart(String),
}

impl Role {
    fn of(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.split('/').collect();
        let file = parts.pop()?;
        let archive = file.strip_suffix(".tgz").filter(|_| parts.last() == Some(&"charts"));
        if archive.is_some() {
            parts.pop();
        }
        let of_chart = parts.len().is_multiple_of(2) && parts.chunks(2).all(|pair| pair.first() == Some(&"charts"));
        match archive {
            _ if !of_chart => None,
            Some(name) if parts.is_empty() => Some(Self::Chart(name.to_owned())),
            Some(_) => None,
            None => matches!(file, "Chart.yaml" | "values.yaml" | "values.schema.json").then_some(Self::Text),
        }
    }
}

/// The path without its first part, which is the chart's name; `None` for what leads elsewhere.
fn inner(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.get(1..).unwrap_or_default().join("/"))
}

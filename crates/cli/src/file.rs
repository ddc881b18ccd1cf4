//! A platform from a file: read, and judged twice, by the rules by which an API server would admit it and by what the
//! planner can act on. All that is wrong is told at once.

use std::fmt;
use std::path::{Path, PathBuf};

use helix_crds::HelixPlatform;
use helix_plan::validated::Rejections;
use kube::Resource as _;
use kube::core::cel::{Validator, compile_schema};
use serde::Deserialize;

use crate::error::CliError;
use crate::output;

/// A field that cannot stay as it is, and what to write instead.
#[derive(Debug)]
pub(crate) struct Complaint {
    field: String,
    message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A platform as a file has it.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// The platform.
    pub(crate) platform: HelixPlatform,
}

/// What every Kubernetes object says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
}

impl Kind {
    fn is_platform(&self) -> bool {
        self.api_version == HelixPlatform::api_version(&()) && self.kind == HelixPlatform::kind(&())
    }
}

impl File {
    /// Reads the platform in a file. Other documents, as a Secret beside it, are passed over.
    ///
    /// # Errors
    /// [`CliError`]: the file cannot be read, or holds no platform, several, or one that is malformed.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let text = only_platform(path, &output::read(path)?)?;
        match serde_saphyr::from_str(&text) {
            Ok(platform) => Ok(Self { path: path.to_owned(), platform }),
            Err(error) => Err(CliError::Syntax { path: path.to_owned(), problem: error.to_string() }),
        }
    }

    /// Joins the planner's judgement with that of the admission rules.
    ///
    /// # Errors
    /// [`CliError::Refused`] with every field that one of the two does not accept.
    pub(crate) fn judge<T>(&self, planner: Result<T, Rejections>) -> Result<T, CliError> {
        let rejections = planner.as_ref().err().map_or(&[][..], Rejections::as_slice);
        let mut complaints: Vec<Complaint> = rejections
            .iter()
            .map(|it| Complaint { field: it.field.clone(), message: format!("{}; {}", it.problem, it.remedy) })
            .collect();
        // What both see is told once, in the planner's words, which know what can be had.
        let told = |field: &str| rejections.iter().any(|rejection| rejection.field.starts_with(field));
        complaints.extend(breaches(&self.platform).into_iter().filter(|breach| !told(&breach.field)));
        match planner {
            Ok(validated) if complaints.is_empty() => Ok(validated),
            Ok(_) | Err(_) => Err(CliError::Refused { path: self.path.clone(), complaints }),
        }
    }
}

/// The document that is a platform, on the lines on which the file has it, so that errors point there.
fn only_platform(path: &Path, text: &str) -> Result<String, CliError> {
    let mut documents: Vec<String> = vec![String::new()];
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push("\n".repeat(number + 1));
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|document| document.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    if let [document] = documents.as_slice()
        && serde_saphyr::from_str::<Kind>(document).is_err()
    {
        // The typed reader says best what is wrong with it.
        return Ok(document.clone());
    }
    let kinds: Vec<Option<Kind>> = documents.iter().map(|document| serde_saphyr::from_str(document).ok()).collect();
    let mut platforms = documents.iter().zip(&kinds).filter(|(_, kind)| kind.as_ref().is_some_and(Kind::is_platform));
    match (platforms.next(), platforms.next()) {
        (Some((document, _)), None) => Ok(document.clone()),
        (Some(_), Some(_)) => Err(no_platform(path, "more than one HelixPlatform")),
        (None, _) => Err(no_platform(path, &found(&kinds))),
    }
}

fn no_platform(path: &Path, found: &str) -> CliError {
    CliError::NoPlatform { path: path.to_owned(), found: found.to_owned() }
}

fn found(kinds: &[Option<Kind>]) -> String {
    let named = |kind: &Kind| match (kind.api_version.as_str(), kind.kind.as_str()) {
        ("", "") => "a document without apiVersion and kind".to_owned(),
        ("", kind) => format!("a {kind} without apiVersion"),
        (version, "") => format!("an object of {version} without kind"),
        (version, kind) => format!("{kind} of {version}"),
    };
    let names: Vec<String> =
        kinds.iter().map(|kind| kind.as_ref().map_or("something that is no object".to_owned(), named)).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" and ") }
}

/// What the API server's own rules say against a platform that is created.
fn breaches(platform: &HelixPlatform) -> Vec<Complaint> {
    let definition = helix_crds::crds().into_iter().find(|crd| crd.spec.names.kind == HelixPlatform::kind(&()));
    let version = definition.and_then(|definition| definition.spec.versions.into_iter().next());
    let schema = version.and_then(|version| version.schema);
    let schema = schema.and_then(|schema| serde_json::to_value(schema.open_api_v3_schema).ok());
    let (Some(schema), Ok(object)) = (schema, serde_json::to_value(platform)) else { return Vec::new() };
    match Validator::new().validate_compiled(&compile_schema(&schema), &object, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| Complaint { field: error.field_path, message: error.message })
            .collect(),
    }
}

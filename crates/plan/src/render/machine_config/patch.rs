//! The user's strategic-merge patches: Talos' merge rules, and the fence around what Helix owns.
//!
//! The rules are those of Talos (<https://docs.siderolabs.com/talos/v1.13/configure-your-talos-cluster/system-configuration/patching>):
//! maps merge, lists append but for those of [`ListRule`], an empty value changes nothing, `$patch: delete` removes. A
//! patch with `kind` addresses the document of its `apiVersion`, `kind` and `name`, and becomes one where there is
//! none; a patch without addresses the `v1alpha1` document.
//!
//! Stricter than Talos: what Helix decides may not be patched, and a patch that would change nothing where it says
//! `delete` is an error.

mod fence;
mod fields;

use std::fmt;

use serde_json::{Map, Value};

use super::MachineRole;

/// Why a patch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("machineConfigPatches[{index}]{}: {problem}", Place(.path))]
pub struct PatchError {
    /// Which patch, counted from 0.
    pub index: usize,
    /// Where in the patch, as in `machine.kubelet.image`; empty for the patch as a whole.
    pub path: String,
    /// What is wrong there.
    pub problem: PatchProblem,
}

impl PatchError {
    /// A stable name of the error, for conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.problem {
            PatchProblem::Owned { .. } => "PatchTouchesOwnedField",
            PatchProblem::NotAMap
            | PatchProblem::UnknownField { .. }
            | PatchProblem::UnknownDocument { .. }
            | PatchProblem::Moved { .. }
            | PatchProblem::ControlPlaneOnly
            | PatchProblem::UnknownDirective
            | PatchProblem::Mismatch { .. }
            | PatchProblem::NothingToDelete => "PatchInvalid",
        }
    }
}

/// What is wrong with a patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchProblem {
    /// A patch is a piece of a machine configuration, so a map.
    #[error("not a map; write a piece of a Talos machine configuration")]
    NotAMap,
    /// Talos has no such field.
    #[error("this Talos has no such field; {}", Correction(.nearest))]
    UnknownField {
        /// The field that was probably meant.
        nearest: Option<&'static str>,
    },
    /// Talos has no such document.
    #[error("this Talos has no document of kind `{kind}` in `v1alpha1`; correct apiVersion and kind")]
    UnknownDocument {
        /// The kind that was given, or what stood in its place.
        kind: String,
    },
    /// `$patch` says something else than `delete`.
    #[error("`$patch` can only be `delete`")]
    UnknownDirective,
    /// Helix decides this field.
    #[error("Helix owns this field; {remedy}")]
    Owned {
        /// What to write instead.
        remedy: &'static str,
    },
    /// Talos has moved this field into a document, which Helix writes.
    #[error("this Talos keeps it in another document; patch `kind: {to}` instead")]
    Moved {
        /// The kind of that document, or several in backticks.
        to: &'static str,
    },
    /// Talos takes this document on control planes only.
    #[error("workers may not have this document; write the patch for spec.controlPlane")]
    ControlPlaneOnly,
    /// The value is of another type than what it is to be merged into.
    #[error("{actual} cannot be merged into {expected}")]
    Mismatch {
        /// What is there.
        expected: &'static str,
        /// What the patch has.
        actual: &'static str,
    },
    /// `$patch: delete` finds nothing.
    #[error("there is nothing to delete")]
    NothingToDelete,
}

/// A path in an error, unless it is empty.
struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " at `{}`", self.0) }
    }
}

/// What to do about a field that does not exist.
struct Correction<'a>(&'a Option<&'static str>);

impl fmt::Display for Correction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "is `{name}` meant?"),
            None => f.write_str("correct its name, or give `kind` if it belongs to another document"),
        }
    }
}

/// A problem and its path, before it is known which patch it is in.
pub(super) type Found = (String, PatchProblem);

/// How a list takes a patch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListRule {
    /// The patch's items go to the end.
    Append,
    /// The patch's list takes the place of what is there.
    Replace,
    /// An item of the same value under this key takes the patch; others go to the end.
    MergeBy(&'static str),
}

impl ListRule {
    /// Talos' rule for the list at `path`.
    fn of(path: &str) -> Self {
        match path {
            "cluster.network.podSubnets"
            | "cluster.network.serviceSubnets"
            | "BGPInstanceConfig.advertise"
            | "BGPInstanceConfig.importRoutes"
            | "BGPInstanceConfig.neighbors"
            | "NetworkRuleConfig.ingress"
            | "NetworkRuleConfig.portSelector.ports" => Self::Replace,
            "cluster.apiServer.admissionControl" => Self::MergeBy("name"),
            "machine.network.interfaces" => Self::MergeBy("interface"),
            "machine.network.interfaces.vlans" => Self::MergeBy("vlanId"),
            "ExtensionServiceConfig.configFiles" => Self::MergeBy("mountPath"),
            _ => Self::Append,
        }
    }
}

/// Maps that a patch replaces as a whole.
const REPLACED_MAPS: [&str; 6] = [
    "cluster.apiServer.auditPolicy",
    "CRIBaseRuntimeSpecConfig.overrides",
    "KubeAuditPolicyConfig.configuration",
    "KubeAuthenticationConfig.configuration",
    "KubeCredentialProviderConfig.configuration",
    "KubeStaticPodConfig.pod",
];

/// Refuses what may not be patched in the configuration of Talos 1.13.
pub(super) fn check_style_1_13(role: MachineRole, patch: &Value) -> Result<(), Found> {
    fence::check(role, patch)
}

/// Applies the patches in order to a machine configuration's documents.
pub(super) fn apply_patches(
    role: MachineRole,
    documents: &mut Vec<Value>,
    patches: &[Value],
) -> Result<(), PatchError> {
    apply_patches_within(documents, patches, |patch| check_style_1_13(role, patch))
}

/// Applies them within the fence of another Talos: `check` refuses what may not be patched there.
pub(super) fn apply_patches_within(
    documents: &mut Vec<Value>,
    patches: &[Value],
    check: impl Fn(&Value) -> Result<(), Found>,
) -> Result<(), PatchError> {
    for (index, patch) in patches.iter().enumerate() {
        check(patch).and_then(|()| apply(documents, patch)).map_err(|(path, problem)| PatchError {
            index,
            path,
            problem,
        })?;
    }
    Ok(())
}

fn apply(documents: &mut Vec<Value>, patch: &Value) -> Result<(), Found> {
    let Value::Object(patch) = patch else {
        return Err((String::new(), PatchProblem::NotAMap));
    };
    let kind = patch.get("kind").and_then(Value::as_str).unwrap_or_default();
    let place = documents.iter().position(|document| {
        let same = |key: &str| document.get(key) == patch.get(key);
        // The v1alpha1 document has no kind and is the only one without.
        same("kind") && (kind.is_empty() || (same("apiVersion") && same("name")))
    });
    if deletes(patch, kind)? {
        let place = place.ok_or_else(|| (kind.to_owned(), PatchProblem::NothingToDelete))?;
        documents.remove(place);
        return Ok(());
    }
    match place.and_then(|place| documents.get_mut(place)) {
        Some(Value::Object(document)) => merge_map(document, patch, kind),
        _ => {
            documents.push(fresh(&Value::Object(patch.clone()), kind)?);
            Ok(())
        }
    }
}

/// Whether a map of the patch says `$patch: delete`.
fn deletes(map: &Map<String, Value>, path: &str) -> Result<bool, Found> {
    match map.get("$patch") {
        None => Ok(false),
        Some(directive) if directive == "delete" => Ok(true),
        Some(_) => Err((path.to_owned(), PatchProblem::UnknownDirective)),
    }
}

fn is_delete(value: &Value, path: &str) -> Result<bool, Found> {
    value.as_object().map_or(Ok(false), |map| deletes(map, path))
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn merge_map(base: &mut Map<String, Value>, patch: &Map<String, Value>, path: &str) -> Result<(), Found> {
    for (key, value) in patch {
        let path = below(path, key);
        if is_delete(value, &path)? {
            if base.remove(key).is_none() {
                return Err((path, PatchProblem::NothingToDelete));
            }
            continue;
        }
        match base.get_mut(key) {
            _ if value.is_null() => {}
            Some(old) => merge_value(old, value, &path)?,
            None => {
                base.insert(key.clone(), fresh(value, &path)?);
            }
        }
    }
    Ok(())
}

fn merge_value(base: &mut Value, patch: &Value, path: &str) -> Result<(), Found> {
    match (&mut *base, patch) {
        (Value::Object(_), Value::Object(_)) if REPLACED_MAPS.contains(&path) => *base = fresh(patch, path)?,
        (Value::Object(base), Value::Object(patch)) => merge_map(base, patch, path)?,
        (Value::Array(base), Value::Array(patch)) => merge_list(base, patch, path)?,
        (Value::String(_), Value::String(text)) if text.is_empty() => {}
        (Value::Number(_), Value::Number(number)) if number.as_f64() == Some(0.0) => {}
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, _) => *base = patch.clone(),
        (old, new) => {
            let problem = PatchProblem::Mismatch { expected: type_name(old), actual: type_name(new) };
            return Err((path.to_owned(), problem));
        }
    }
    Ok(())
}

fn merge_list(base: &mut Vec<Value>, patch: &[Value], path: &str) -> Result<(), Found> {
    let rule = ListRule::of(path);
    if rule == ListRule::Replace {
        *base = fresh_items(patch, path)?;
        return Ok(());
    }
    for item in patch {
        if is_delete(item, path)? {
            let before = base.len();
            base.retain(|old| !selected(old, item));
            if base.len() == before {
                return Err((path.to_owned(), PatchProblem::NothingToDelete));
            }
            continue;
        }
        let same = match rule {
            ListRule::MergeBy(key) => {
                let wanted = item.get(key);
                base.iter_mut().find(|old| wanted.is_some() && old.get(key) == wanted)
            }
            ListRule::Append | ListRule::Replace => None,
        };
        match same {
            Some(old) => merge_value(old, item, path)?,
            None => base.push(fresh(item, path)?),
        }
    }
    Ok(())
}

/// Whether an item is the one that a `$patch: delete` item describes: it has everything that the latter says.
fn selected(item: &Value, description: &Value) -> bool {
    description.as_object().is_some_and(|description| {
        description.len() > 1 && description.iter().all(|(key, value)| key == "$patch" || item.get(key) == Some(value))
    })
}

/// What a patch sets where nothing was: nothing can be deleted there.
fn fresh(value: &Value, path: &str) -> Result<Value, Found> {
    match value {
        Value::Object(map) => {
            if deletes(map, path)? {
                return Err((path.to_owned(), PatchProblem::NothingToDelete));
            }
            let mut clean = Map::new();
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                clean.insert(key.clone(), fresh(value, &below(path, key))?);
            }
            Ok(Value::Object(clean))
        }
        Value::Array(items) => fresh_items(items, path).map(Value::Array),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

fn fresh_items(items: &[Value], path: &str) -> Result<Vec<Value>, Found> {
    items.iter().map(|item| fresh(item, path)).collect()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

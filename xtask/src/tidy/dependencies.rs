//! Which way dependencies point, and what the pure core may pull in at all.
//!
//! The list is of exact names of what runs: procedural macros run in the compiler and are not on it.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::process;
use crate::repository::{Metadata, Package, Repository};
use crate::tidy::Finding;

/// What a crate of the workspace may depend on, and what its tests may use besides.
struct Layer {
    name: &'static str,
    may_use: &'static [&'static str],
    tests_may_use: &'static [&'static str],
}

/// Every crate of the workspace, lowest first. `helix-sim` never uses `helix-clients`, not even in tests: what stands
/// in for the outside and what talks to it must not share an error.
const LAYERS: &[Layer] = &[
    Layer { name: "helix-crds", may_use: &[], tests_may_use: &[] },
    Layer { name: "helix-plan", may_use: &["helix-crds"], tests_may_use: &[] },
    Layer { name: "helix-engine", may_use: &["helix-crds", "helix-plan"], tests_may_use: &["helix-sim"] },
    Layer {
        name: "helix-clients",
        may_use: &["helix-crds", "helix-plan", "helix-engine"],
        tests_may_use: &["helix-sim"],
    },
    Layer { name: "helix-sim", may_use: &["helix-crds", "helix-plan", "helix-engine"], tests_may_use: &[] },
    Layer {
        name: "helix-cli",
        may_use: &["helix-crds", "helix-plan", "helix-engine", "helix-clients"],
        tests_may_use: &["helix-sim"],
    },
    Layer {
        name: "helix-operator",
        may_use: &["helix-crds", "helix-plan", "helix-engine", "helix-clients"],
        tests_may_use: &["helix-sim"],
    },
    Layer {
        name: "xtask",
        may_use: &["helix-crds", "helix-plan", "helix-engine", "helix-sim"],
        tests_may_use: &["helix-clients"],
    },
];

/// All that `helix-plan` may have in its dependency tree: data, formats and arithmetic. Nothing with a client, a
/// runtime or a source of randomness.
const PLAN_TREE: &[&str] = &[
    "annotate-snippets",
    "anstyle",
    "arraydeque",
    "arrayvec",
    "base64",
    "block-buffer",
    "bytes",
    "cfg-if",
    "core_detect",
    "cpufeatures",
    "crypto-common",
    "derive_more",
    "digest",
    "dyn-clone",
    "encoding_rs",
    "encoding_rs_io",
    "form_urlencoded",
    "generic-array",
    "granit-parser",
    "helix-crds",
    "helix-plan",
    "http",
    "ipnet",
    "itoa",
    "jiff",
    "jiff-core",
    "k8s-openapi",
    "kube",
    "kube-core",
    "memchr",
    "nohash-hasher",
    "num-traits",
    "ordered-float",
    "percent-encoding",
    "ref-cast",
    "rust_decimal",
    "schemars",
    "scopeguard",
    "semver",
    "serde",
    "serde-saphyr",
    "serde-value",
    "serde_core",
    "serde_json",
    "sha2",
    "simdutf8",
    "smallvec",
    "thiserror",
    "typenum",
    "unicode-width",
    "zeroize",
    "zmij",
];

const PLAN_MANIFEST: &str = "crates/plan/Cargo.toml";

/// Judges the workspace's own dependencies and the tree of the pure core.
///
/// # Errors
/// When cargo can't say, as with a stale Cargo.lock.
pub(crate) fn findings(repository: &Repository) -> Result<Vec<Finding>, Error> {
    let mut findings = direction(&repository.metadata()?, LAYERS);
    // `cargo tree` resolves features for this crate alone, where `cargo metadata` would mix in those that others ask
    // for, and with them the clients.
    let tree = process::answer(repository.cargo().args([
        "tree",
        "--locked",
        "--package=helix-plan",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
    ]))?;
    findings.extend(plan_tree(&tree, PLAN_TREE));
    for manifest in repository.files()?.iter().filter(|file| file.ends_with("Cargo.toml")) {
        findings.extend(mutations(manifest, &repository.read(manifest)?));
    }
    Ok(findings)
}

/// The manifests that may name the feature by which guards are broken: where it is defined, and the simulation's.
const MAY_MUTATE: [&str; 2] = [PLAN_MANIFEST, "crates/sim/Cargo.toml"];

/// Whether a manifest asks for the feature that breaks guards, or has it on by default.
fn mutations(manifest: &str, text: &str) -> Vec<Finding> {
    let may = MAY_MUTATE.contains(&manifest);
    let asks = |line: &str| line.contains("mutations") && (!may || line.trim_start().starts_with("default"));
    let found = text.lines().enumerate().filter(|(_, line)| asks(line));
    found
        .map(|(index, _)| Finding {
            file: manifest.to_owned(),
            line: Some(index + 1),
            message: "asks for `mutations`, which breaks guards and is the simulation's alone: leave it out".to_owned(),
        })
        .collect()
}

fn direction(metadata: &Metadata, layers: &[Layer]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours: BTreeSet<&str> = metadata.packages().map(Package::name).collect();
    for package in metadata.packages() {
        let finding = |message| Finding { file: format!("{} (Cargo.toml)", package.name()), line: None, message };
        let Some(layer) = layers.iter().find(|layer| layer.name == package.name()) else {
            findings.push(finding("a crate without a place among the others; add it to LAYERS".to_owned()));
            continue;
        };
        for (dependency, only_tests) in package.dependencies().filter(|(name, _)| ours.contains(name)) {
            let allowed = layer.may_use.contains(&dependency)
                || (only_tests && (layer.tests_may_use.contains(&dependency) || dependency == layer.name));
            if !allowed {
                findings.push(finding(format!(
                    "must not depend on {dependency}: dependencies point one way, crds <- plan <- engine <- clients; \
                     move the code to where both may use it"
                )));
            }
        }
    }
    findings
}

fn plan_tree(tree: &str, allowed: &[&str]) -> Vec<Finding> {
    let finding = |message| Finding { file: PLAN_MANIFEST.to_owned(), line: None, message };
    let present: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
    let added = present.difference(&allowed).map(|name| {
        finding(format!(
            "{name} is new in the dependency tree of the pure core; do without it, or, if it knows no client, clock, \
             randomness, file or environment, add it to PLAN_TREE with a reason in the commit"
        ))
    });
    let gone = allowed.difference(&present).map(|name| {
        finding(format!("{name} is no longer in the dependency tree of the pure core; remove it from PLAN_TREE"))
    });
    added.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_point_one_way() {
        let metadata = Metadata::from_json(json!({"packages": [
            {"name": "helix-crds", "dependencies": [{"name": "serde", "kind": null}]},
            {"name": "helix-plan", "dependencies": [{"name": "helix-crds", "kind": null}]},
            {"name": "helix-clients", "dependencies": [{"name": "helix-sim", "kind": "dev"}]},
            {"name": "helix-sim", "dependencies": [{"name": "helix-clients", "kind": "dev"}]},
            {"name": "helix-new", "dependencies": []},
        ]}));
        let messages = messages(&direction(&metadata, LAYERS));
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].starts_with("helix-sim (Cargo.toml): must not depend on helix-clients"), "{messages:?}");
        assert!(messages[1].starts_with("helix-new (Cargo.toml): a crate without a place"), "{messages:?}");
    }

    #[test]
    fn only_the_simulation_breaks_guards() {
        let asks = "helix-plan = { path = \"crates/plan\", features = [\"mutations\"] }";
        assert_eq!(mutations("operator/Cargo.toml", asks).len(), 1);
        assert_eq!(mutations("crates/sim/Cargo.toml", "mutations = [\"helix-plan/mutations\"]").len(), 0);
        assert_eq!(mutations("crates/sim/Cargo.toml", "default = [\"mutations\"]").len(), 1);
    }

    #[test]
    fn pure_core_is_held_against_the_list_both_ways() {
        let tree = "helix-plan v0.1.0 (here)\nserde v1.0.0\nserde v1.0.0 (*)\ntokio v1.0.0\n";
        let messages = messages(&plan_tree(tree, &["helix-plan", "serde", "sha2"]));
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(messages[0].contains("tokio is new"), "{messages:?}");
        assert!(messages[1].contains("sha2 is no longer"), "{messages:?}");
    }
}

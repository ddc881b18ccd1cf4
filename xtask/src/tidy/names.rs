//! Names that say nothing, and names of things that exist on one machine only.

use crate::tidy::Finding;

/// Modules of these names collect what has no place: everything has one.
const SAYS_NOTHING: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// Roots of paths that exist on the machine of whoever wrote them down.
const LOCAL_ROOTS: &[&str] = &["root", "work", "Users"];

/// Package registries by name and domain, apart so that this file does not find itself. Which registry or mirror is
/// used is the configuration of a machine, not of the project.
const REGISTRIES: &[(&str, &str)] = &[
    ("proxy.golang", "org"),
    ("sum.golang", "org"),
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("registry.npmjs", "org"),
    ("files.pythonhosted", "org"),
];

/// Judges a path, relative to the root of the checkout.
pub(crate) fn in_path(file: &str) -> Option<Finding> {
    let mut parts = file.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let name = parts.find(|part| SAYS_NOTHING.contains(part))?;
    Some(Finding {
        file: file.to_owned(),
        line: None,
        message: format!(
            "`{name}` says nothing about what is in it; name it for what it makes, or move it to its users"
        ),
    })
}

/// Judges the text of a file of any kind.
pub(crate) fn in_text<'a>(file: &'a str, text: &'a str) -> impl Iterator<Item = Finding> + 'a {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let message = local_path(line).or_else(|| registry(line))?;
        Some(Finding { file: file.to_owned(), line: Some(index + 1), message })
    })
}

fn local_path(line: &str) -> Option<String> {
    let is_path_start = |before: &str| !before.ends_with(|c: char| c.is_ascii_alphanumeric() || "-_.}/*~".contains(c));
    let root = LOCAL_ROOTS.iter().find(|root| {
        let root = format!("/{root}/");
        line.match_indices(&root).any(|(at, _)| is_path_start(&line[..at]))
    })?;
    Some(format!("a path below `/{root}` exists on one machine only; make it relative to the checkout"))
}

fn registry(line: &str) -> Option<String> {
    let host = REGISTRIES.iter().map(|(name, domain)| format!("{name}.{domain}")).find(|host| line.contains(host))?;
    Some(format!("names the package registry {host}; leave that to the configuration of the machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_names_that_say_something() {
        for bad in ["crates/plan/src/utils.rs", "crates/common/src/lib.rs", "operator/src/util/mod.rs"] {
            assert!(in_path(bad).is_some(), "{bad}");
        }
        for good in ["crates/plan/src/quorum.rs", "docs/commonly-asked.md", "crates/sim/src/utilisation.rs"] {
            assert_eq!(in_path(good), None);
        }
    }

    #[test]
    fn paths_and_registries_of_one_machine_are_found_with_their_line() {
        let root = LOCAL_ROOTS[0];
        let (name, domain) = REGISTRIES[0];
        let text = format!("fine\nlet p = \"/{root}/x\";\nGOPROXY=https://{name}.{domain}\n");
        let lines: Vec<_> = in_text("a.rs", &text).map(|finding| finding.line).collect();
        assert_eq!(lines, [Some(2), Some(3)]);
        let text = format!("see https://example.com/{root}/page and docs/{root}/x.md\n");
        assert_eq!(in_text("a.md", &text).count(), 0);
    }
}

//! The pure core's own clippy configuration: there, and as strict as the rule "no clock, no randomness, no file, no
//! environment" asks. Clippy reads the nearest file only, so that file has to repeat what the root one says.

use crate::error::Error;
use crate::repository::Repository;
use crate::tidy::Finding;

const ROOT: &str = "clippy.toml";
const PLAN: &str = "crates/plan/clippy.toml";

/// What the core's configuration must ban by this very path.
const BANNED: &[&str] = &[
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::env::args",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::fs::File",
    "std::fs::read",
    "std::fs::read_to_string",
    "std::fs::write",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process::Command",
    "std::thread::sleep",
    "std::thread::spawn",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Judges the core's clippy configuration.
///
/// # Errors
/// When one of the two files can't be read.
pub(crate) fn findings(repository: &Repository) -> Result<Vec<Finding>, Error> {
    Ok(compare(&repository.read(ROOT)?, &repository.read(PLAN)?))
}

fn compare(root: &str, plan: &str) -> Vec<Finding> {
    let finding = |message| Finding { file: PLAN.to_owned(), line: None, message };
    let unbanned = BANNED
        .iter()
        .filter(|path| !plan.contains(&format!("path = \"{path}\"")))
        .map(|path| finding(format!("{path} is not banned; the core must not reach it: add it to what is disallowed")));
    let settings = root.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let missing = settings.filter(|line| !plan.lines().any(|own| own == *line)).map(|line| {
        finding(format!("`{line}` of the root {ROOT} is missing; clippy reads the nearest file only: repeat it"))
    });
    unbanned.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_and_root_settings_must_be_there() {
        let bans: String = BANNED.iter().map(|path| format!("{{ path = \"{path}\" }}\n")).collect();
        let root = "# why\nallow-unwrap-in-tests = true\n";
        assert_eq!(compare(root, &format!("allow-unwrap-in-tests = true\n{bans}")), []);
        let findings = compare(root, &bans.replace("std::env::vars", "std::env::home_dir"));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].message.starts_with("std::env::vars is not banned"), "{findings:?}");
        assert!(findings[1].message.starts_with("`allow-unwrap-in-tests = true`"), "{findings:?}");
    }
}

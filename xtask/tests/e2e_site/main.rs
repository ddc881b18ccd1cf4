//! The status site in a real browser: of an example repository that has everything, and of this repository as it is.
//!
//! `drive.mjs` looks at every page, dark on a phone's width and light on a desk's, and at all but documents the other way
//! round, too: links and anchors lead somewhere, nothing is asked of other hosts, the console is silent, axe finds no
//! violation, and without scripts nothing is missing. What it saw is left in `target/site-screenshots` for people to look at.
//!
//! Needs Debian's Chromium, Node and npm: `cargo xtask test` installs them. Without them the test says so, and fails
//! where everything has to run (`CI=true`).

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What drives the browser, by what is pinned beside this file.
const DRIVER: &str = "e2e_site";

#[test]
fn example_site_is_whole_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    let root = here().join("repository");
    browser.judge(&["--root", root.to_str().unwrap()], "example");
}

#[test]
fn own_site_is_whole_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    browser.judge(&["--source-url", "https://example.com/helix/blob/main"], "helix");
}

#[test]
fn the_same_repository_makes_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let root = here().join("repository");
    let build = |name: &str| {
        let output = directory.path().join(name);
        succeeded(&site(&["--root", root.to_str().unwrap()], &output));
        contents(&output)
    };
    let first = build("first");
    assert!(
        first.contains_key("metrics/uptime.json") && first.contains_key("diagrams/turn.html"),
        "{:?}",
        first.keys()
    );
    assert_eq!(first, build("second"));
}

#[test]
fn what_cannot_be_read_is_named_and_the_earlier_site_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (root, output) = (directory.path().join("root"), directory.path().join("site"));
    fs::create_dir_all(root.join("metrics")).unwrap();
    fs::write(root.join("README.md"), "# First").unwrap();
    let arguments = ["--root", root.to_str().unwrap()];
    succeeded(&site(&arguments, &output));
    let first = contents(&output);

    fs::write(root.join("README.md"), "# Second").unwrap();
    fs::write(root.join("metrics/history.jsonl"), "{\"at\":\"2026-01-01T00:00:00Z\",\"values\":{}}\nnonsense\n")
        .unwrap();
    let refused = site(&arguments, &output);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("history.jsonl: line 2"), "{said}");
    assert_eq!(contents(&output), first);
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(DRIVER)
}

/// `cargo xtask site`.
fn site(arguments: &[&str], output: &Path) -> Output {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.arg("site").args(arguments).arg("--output").arg(output).output().unwrap()
}

fn succeeded(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    said
}

/// Every file below a directory, by its path there.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                contents.insert(name, fs::read(path).unwrap());
            }
        }
    }
    contents
}

/// A browser, and what drives it.
struct Browser {
    chromium: PathBuf,
    modules: PathBuf,
}

impl Browser {
    fn find() -> Option<Self> {
        let found = ["chromium", "node", "npm"].map(in_path);
        let [Some(chromium), Some(_), Some(_)] = found else {
            let remedy = "this test needs chromium, node and npm: `cargo xtask test` installs them as root on Debian, or \
                          `apt-get install --no-install-recommends chromium nodejs npm` does";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{remedy}");
            eprintln!("skipped: {remedy}");
            return None;
        };
        Some(Self { chromium, modules: modules() })
    }

    /// Builds a site and has every page of it looked at.
    fn judge(&self, arguments: &[&str], name: &str) {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("site");
        println!("{}", succeeded(&site(arguments, &output)));
        let screenshots = target().join("site-screenshots").join(name);
        let mut node = Command::new("node");
        node.arg(here().join("drive.mjs")).arg(&self.modules).arg(output).arg(screenshots).arg(&self.chromium);
        println!("{}", succeeded(&node.output().unwrap()));
    }
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// The directory into which cargo builds: this test lies in `debug/deps` of it.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// Installs exactly what the lock file beside this one says, once, outside of the checkout.
fn modules() -> PathBuf {
    static INSTALLED: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let install = || {
        let directory = target().join("tools").join(DRIVER);
        fs::create_dir_all(&directory).unwrap();
        for file in ["package.json", "package-lock.json"] {
            fs::copy(here().join(file), directory.join(file)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&directory);
        succeeded(&npm.output().unwrap());
        directory
    };
    INSTALLED.get_or_init(install).clone()
}

//! `helix diagram`: the examples as they are drawn, byte for byte, and what it says when nothing can be drawn.
//!
//! `HELIX_BLESS=1` writes the pictures anew, to be read before they are committed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{example, helix, helix_with_input, minimal, path};

fn golden(name: &str, view: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/diagrams/{name}-{view}.mmd"))
}

#[track_caller]
fn is_drawn(name: &str, view: &str) {
    let run = helix(&["diagram", "-f", path(&example(name)), "--view", view]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let file = golden(name, view);
    if std::env::var_os("HELIX_BLESS").is_some() {
        fs::write(&file, &run.out).expect("it is written");
    }
    let expected = fs::read_to_string(&file).expect("a golden file; HELIX_BLESS=1 writes it");
    assert_eq!(run.out, expected, "not what {} has; HELIX_BLESS=1 writes it anew", file.display());
}

#[test]
fn the_full_example_is_drawn() {
    is_drawn("full", "network");
    is_drawn("full", "phases");
}

#[test]
fn the_smallest_example_is_drawn() {
    is_drawn("minimal", "all");
}

#[test]
fn the_sandbox_is_drawn() {
    is_drawn("sandbox", "network");
}

#[test]
fn a_file_is_written_in_place_of_an_earlier_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("platform.mmd");
    fs::write(&out, "what was there").expect("it is written");
    let minimal = example("minimal");
    let run = helix(&["diagram", "-f", path(&minimal), "--output", path(&out)]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", ""));
    assert_eq!(fs::read_to_string(&out).expect("text"), helix(&["diagram", "-f", path(&minimal)]).out);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing half-written is left");
}

#[test]
fn what_cannot_be_acted_on_is_not_drawn() {
    let bad = minimal(&[("controlPlane:", "controlPlane:\n    replicas: 2")]);
    let drawn = helix_with_input(&["diagram", "-f", "-"], &bad);
    let planned = helix_with_input(&["plan", "-f", "-"], &bad);
    assert_eq!((drawn.code, drawn.out.as_str(), drawn.err), (1, "", planned.err));
}

#[test]
fn without_a_cluster_nothing_is_coloured() {
    for arguments in [&["diagram", "prod"][..], &["diagram", "-f", path(&example("minimal")), "--live"]] {
        let run = helix(arguments);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
        assert!(run.err.starts_with("helix: no management cluster: "), "{}", run.err);
    }
    assert_eq!(helix(&["diagram"]).code, 64);
}

//! The commands of `docs/getting-started.md`, as they stand there. Those that need a sandbox or an account are not run here.

use std::path::Path;
use std::process::Command;

use crate::path;

/// What a block begins with whose commands need nothing but the program.
const RUN: &str = "```sh run\n";

#[test]
fn what_getting_started_does_without_a_platform_can_be_done() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("docs/getting-started.md")).expect("the document");
    let blocks: Vec<&str> = document.split(RUN).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 3, "{blocks:?}");
    let program = Path::new(env!("CARGO_BIN_EXE_helix")).parent().expect("a directory");
    let search = format!("{}:{}", program.display(), std::env::var("PATH").expect("a PATH"));
    let scratch = tempfile::tempdir().expect("a directory");
    for block in blocks {
        // The program is built, or this would not run.
        let lines = block.lines().filter(|line| !line.starts_with("cargo build ") && !line.starts_with("export PATH="));
        let script = lines.collect::<Vec<_>>().join("\n").replace("target/rendered", path(scratch.path()));
        let mut bash = Command::new("bash");
        bash.args(["-euc", &script])
            .current_dir(&root)
            .env("PATH", &search)
            .env("KUBECONFIG", "/nonexistent/kubeconfig");
        let output = bash.output().expect("bash starts");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

//! What the documents tell people to type: what needs nothing but the program is run, block by block, as it stands there;
//! of everything else it is made sure that the program understands it.
//!
//! A block of shell says behind its `sh` what it needs: `run` is nothing. Commands of `cargo xtask` are the business of
//! xtask's own tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command;

/// What a block of shell that is run needs besides the program.
const RUN: &str = "sh run";

/// Lines that get the program, which is there: a test builds nothing.
const GETS_THE_PROGRAM: [&str; 2] = ["cargo build ", "export PATH="];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// Every document for people who use Helix, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("docs")];
    let mut files = vec![root().join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.extend(Some(path).filter(|path| path.extension().is_some_and(|it| it == "md"))),
            }
        }
    }
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read_to_string(&file).expect("text"))).collect()
}

/// The fenced blocks of a document: what stands behind the fence, and the text.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => open = Some((info.trim().to_owned(), String::new())),
            (None, Some((_, block))) => block.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    blocks
}

/// The lines of a document that are typed: those of blocks of shell, and those that are indented as code; one that goes on
/// in the next is one with it.
fn typed(text: &str) -> Vec<String> {
    let text = &text.replace("\\\n", " ");
    let fenced = blocks(text).into_iter().filter(|(info, _)| info == "sh" || info.starts_with("sh "));
    let fenced = fenced.flat_map(|(_, block)| block.lines().map(str::to_owned).collect::<Vec<_>>());
    let indented = text.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned);
    fenced.chain(indented).collect()
}

/// The calls of the program in a line of shell, each as its arguments.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap_or_default();
    let parts = line.split(['|', ';', '&', '>']).map(str::trim);
    let calls = parts.filter_map(|part| part.strip_prefix("helix "));
    calls.map(|call| call.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()).collect()
}

#[test]
fn what_needs_nothing_is_run_as_it_stands_there() {
    for (file, text) in documents() {
        let runs = blocks(&text).into_iter().filter(|(info, _)| info == RUN).map(|(_, block)| block);
        let lines: Vec<String> = runs.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let gets = |line: &String| GETS_THE_PROGRAM.iter().any(|begin| line.starts_with(begin));
        let script: Vec<String> = lines.into_iter().filter(|line| !gets(line)).collect();
        if script.is_empty() {
            continue;
        }
        let place = tempfile::tempdir().expect("a directory");
        symlink(root().join("manifests"), place.path().join("manifests")).expect("a link");
        let programs = Path::new(env!("CARGO_BIN_EXE_helix")).parent().expect("a folder").to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("a path"));
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script.join("\n")]).current_dir(place.path()).stdin(Stdio::null());
        shell.env("PATH", path).env("KUBECONFIG", "/nonexistent/kubeconfig").env_remove("KUBERNETES_SERVICE_HOST");
        let output = shell.output().expect("bash ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{}\n{said}", file.display(), script.join("\n"));
    }
}

#[test]
fn the_program_understands_everything_that_is_typed() {
    let place = tempfile::tempdir().expect("a directory");
    let mut understood = 0;
    for (file, text) in documents() {
        for call in typed(&text).iter().flat_map(|line| calls(line)) {
            let words: Vec<&str> = call.iter().map(String::as_str).collect();
            let mut command = command(&words);
            let output = command.current_dir(place.path()).stdin(Stdio::null()).output().expect("helix ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_ne!(output.status.code(), Some(64), "{}: helix {}\n{said}", file.display(), words.join(" "));
            understood += 1;
        }
    }
    assert!(understood > 0, "no document says what to type");
}

#[test]
fn calls_are_found_in_lines_of_shell() {
    let line = "sed 's/a/b/' x | helix plan -f - || test $? -eq 1   # helix is not called here";
    assert_eq!(calls(line), [["plan", "-f", "-"]]);
    assert!(calls("the helix plan is good").is_empty());
}

//! What is no command is told with exit code 64, and help is no error.

use std::net::TcpListener;
use std::process::Stdio;

use crate::{command, example, helix, path};

#[test]
fn a_command_line_that_cannot_be_understood_ends_with_64() {
    let sandbox = example("sandbox");
    let wrong: [&[&str]; 11] = [
        &[],
        &["bogus"],
        &["plan"],
        &["plan", "--live"],
        &["plan", "dev", "-f", path(&sandbox)],
        &["plan", "-f", path(&sandbox), "-o", "xml"],
        &["render", "-f", path(&sandbox)],
        &["secrets", "export", "dev"],
        &["secrets", "import", "dev"],
        &["publish-status", "--dir", ".", "--repository", "helix"],
        &["publish-status", "--dir", ".", "--repository", "octocat/helix", "--branch", "a..b"],
    ];
    for arguments in wrong {
        let run = helix(arguments);
        assert_eq!(run.code, 64, "{arguments:?}: {}", run.err);
        assert!(run.out.is_empty() && run.err.contains("--help"), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["plan", "--help"], &["secrets", "export", "--help"], &["--version"]] {
        let run = helix(arguments);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{arguments:?}");
        assert!(run.out.contains("helix"), "{}", run.out);
    }
}

#[test]
fn without_a_management_cluster_live_commands_say_what_to_do() {
    let sandbox = example("sandbox");
    let live: [&[&str]; 4] = [
        &["plan", "dev"],
        &["plan", "-f", path(&sandbox), "--live"],
        &["explain", "dev"],
        &["explain", "dev", "--context", "staging"],
    ];
    for arguments in live {
        let run = helix(arguments);
        assert_eq!(run.code, 1, "{arguments:?}");
        assert!(run.err.contains("no management cluster") && run.err.contains("KUBECONFIG"), "{}", run.err);
    }
}

#[test]
fn a_management_cluster_that_does_not_answer_is_named() {
    // A port of the loopback that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let kubeconfig = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{endpoint}\"}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
    );
    std::fs::write(kubeconfig.path(), text).expect("the kubeconfig");
    let output = command(&["plan", "dev"]).env("KUBECONFIG", kubeconfig.path()).output().expect("helix ends");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains(&endpoint) && told.contains("refused"), "{told}");
}

#[test]
fn a_recipient_that_is_none_is_refused_before_anything_is_read() {
    let run = helix(&["secrets", "export", "dev", "--to", "age1nonsense"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("`age1nonsense` is no age recipient"), "{}", run.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = example("sandbox");
    let mut command = command(&["plan", "-f", path(&sandbox), "-o", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("helix starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("helix ends");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

//! Making a commit without a working directory: one stream for `git fast-import`.

use helix_engine::seams::GitError;
use helix_plan::gitops::{Changes, Found, MARKER, Tree};
use jiff::Timestamp;

use super::program::Program;

/// Where the commit that is to be pushed is kept meanwhile.
const OURS: &str = "refs/helix/next";

/// Makes the commit that carries out the changes on top of `parent`, and tells its id. Nothing but the repository on
/// this machine has it yet.
pub(super) async fn make(
    program: &Program,
    (parent, prefix): (&str, &str),
    tree: &Tree,
    (changes, found): (&Changes, &Found),
    now: Timestamp,
) -> Result<String, GitError> {
    let mut stream = header(tree, parent, now);
    for path in &changes.write {
        if let Some(bytes) = tree.files().get(path) {
            file(&mut stream, &format!("{prefix}{path}"), bytes);
        }
    }
    for path in &changes.remove {
        stream.extend(format!("D {prefix}{path}\n").bytes());
    }
    file(&mut stream, &format!("{prefix}{MARKER}"), &tree.marker(found).bytes());
    stream.extend(b"\ndone\n");
    program.local(&["fast-import", "--quiet", "--force", "--done"], &stream).await?;
    let id = program.local(&["rev-parse", "--verify", OURS], &[]).await?;
    Ok(String::from_utf8_lossy(&id).trim().to_owned())
}

fn header(tree: &Tree, parent: &str, now: Timestamp) -> Vec<u8> {
    let platform = tree.platform();
    let message = format!(
        "Publish platform {platform}\n\nRendered by Helix from its HelixPlatform.\n\nHelix-Tree: {}\n",
        tree.digest()
    );
    let who = format!("Helix <helix@helix.dev> {} +0000", now.as_second());
    let length = message.len();
    format!("commit {OURS}\nauthor {who}\ncommitter {who}\ndata {length}\n{message}\nfrom {parent}\n").into_bytes()
}

fn file(stream: &mut Vec<u8>, path: &str, bytes: &[u8]) {
    stream.extend(format!("M 100644 inline {path}\ndata {}\n", bytes.len()).bytes());
    stream.extend(bytes);
    stream.push(b'\n');
}

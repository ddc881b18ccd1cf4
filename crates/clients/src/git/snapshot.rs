//! What a commit holds in the platform's place.

use std::collections::BTreeMap;

use helix_engine::seams::GitError;
use helix_plan::gitops::{Found, MARKER, Marker, Tree, digest};

use super::program::Program;

/// Stands for what is no plain file: a link, or another repository. No file has such a digest.
const NO_FILE: &str = "no plain file";

/// Files of Helix' own at a commit, and what stands where files are wanted.
pub(super) async fn found(program: &Program, revision: &str, prefix: &str, tree: &Tree) -> Result<Found, GitError> {
    let entries = entries(program, revision, prefix).await?;
    let marker = match entries.get(MARKER) {
        Some(Entry::File(id)) => {
            let bytes = program.local(&["cat-file", "blob", id], &[]).await?;
            Some(Marker::read(&bytes).map_err(|error| GitError::Marker { why: error.to_string() })?)
        }
        Some(Entry::Other) => return Err(GitError::Marker { why: format!("{MARKER} is no plain file") }),
        None => None,
    };
    let ours = marker.iter().flat_map(|marker| marker.files.keys()).chain(tree.files().keys());
    let mut files = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for path in ours {
        match entries.get(path) {
            Some(Entry::File(id)) => wanted.insert(path.clone(), id.clone()),
            Some(Entry::Other) => files.insert(path.clone(), NO_FILE.to_owned()),
            None => None,
        };
    }
    files.extend(digests(program, &wanted).await?);
    Ok(Found { marker, files })
}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// A file, by the id of its content.
    File(String),
    /// A link, or another repository.
    Other,
}

/// Everything below the prefix, by path from there.
async fn entries(program: &Program, revision: &str, prefix: &str) -> Result<BTreeMap<String, Entry>, GitError> {
    let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", revision];
    if !prefix.is_empty() {
        arguments.extend(["--", prefix]);
    }
    let listed = program.local(&arguments, &[]).await?;
    let text = String::from_utf8_lossy(&listed);
    Ok(text.split_terminator('\0').filter_map(|line| entry(line, prefix)).collect())
}

/// A line of `ls-tree`: mode, type and id, then the path.
fn entry(line: &str, prefix: &str) -> Option<(String, Entry)> {
    let (about, path) = line.split_once('\t')?;
    let mut about = about.split(' ');
    let (mode, _, id) = (about.next()?, about.next()?, about.next()?);
    let entry = if mode.starts_with("100") { Entry::File(id.to_owned()) } else { Entry::Other };
    Some((path.strip_prefix(prefix)?.to_owned(), entry))
}

/// The digests of these contents, asked for in one call.
async fn digests(program: &Program, wanted: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, GitError> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: String = wanted.values().map(|id| format!("{id}\n")).collect();
    let output = program.local(&["cat-file", "--batch"], ids.as_bytes()).await?;
    let mut rest = output.as_slice();
    let mut digests = BTreeMap::new();
    for path in wanted.keys() {
        let content = next(&mut rest).ok_or_else(|| GitError::NoGit { why: "cat-file told too little".to_owned() })?;
        digests.insert(path.clone(), digest(content));
    }
    Ok(digests)
}

/// The next of `cat-file --batch`: a line of id, type and size, as many bytes, and a line break.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let size: usize = std::str::from_utf8(&rest[..end]).ok()?.rsplit(' ').next()?.parse().ok()?;
    let content = rest.get(end + 1..end + 1 + size)?;
    *rest = rest.get(end + 2 + size..)?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_contents_are_read() {
        let file = entry("100644 blob abc\tclusters/prod/a b.yaml", "clusters/prod/").unwrap();
        assert_eq!(file, ("a b.yaml".to_owned(), Entry::File("abc".to_owned())));
        assert_eq!(entry("120000 blob abc\tlink", "").unwrap().1, Entry::Other);
        let mut rest: &[u8] = b"abc blob 3\nx\ny\ndef blob 0\n\n";
        assert_eq!(next(&mut rest), Some(&b"x\ny"[..]));
        assert_eq!(next(&mut rest), Some(&b""[..]));
        assert_eq!(next(&mut rest), None);
        assert_eq!(next(&mut &b"abc missing\n"[..]), None);
    }
}

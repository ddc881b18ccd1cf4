//! What git means when a call to a repository fails.
//!
//! Git ends with one and the same status whatever happened, and tells what it was in words alone; under `LC_ALL=C` they
//! are its own, and have been the same for many years. What none of these words is in counts as a repository that does
//! not answer, and is tried again.

use helix_engine::seams::GitError;

/// The longest excerpt of its words that is told.
const LONGEST: usize = 300;

/// That the credentials were asked for and did not suffice.
const REFUSED: [&str; 5] =
    ["Authentication failed", "could not read Username", "could not read Password", "error: 403", "error: 401"];
/// That there is nothing there, or has moved.
const NOWHERE: [&str; 4] =
    ["not found", "does not appear to be a git repository", "error: 404", "unable to update url base from redirection"];

/// The error of a call to a repository that failed with these words.
pub(super) fn failed(url: &str, complaint: &str) -> GitError {
    let (url, why) = (url.to_owned(), excerpt(complaint));
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if says(&REFUSED) {
        GitError::Refused { url, why }
    } else if says(&NOWHERE) {
        GitError::NoRepository { url }
    } else {
        GitError::Unreachable { url, why }
    }
}

/// How a push ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The branch is at our commit.
    Done,
    /// The branch is not where we took it from.
    MovedOn,
    /// The server takes no such commit.
    Declined(String),
    /// Nothing is known of the branch: the call itself failed.
    Failed,
}

/// Reads the lines of `git push --porcelain`: a flag, the two names, and what was made of it.
pub(super) fn pushed(output: &[u8], success: bool) -> Pushed {
    let text = String::from_utf8_lossy(output);
    let Some(line) = text.lines().find(|line| line.starts_with("!\t")) else {
        return if success { Pushed::Done } else { Pushed::Failed };
    };
    let summary = line.split('\t').nth(2).unwrap_or_default();
    match summary.starts_with("[rejected]") || summary.contains("cannot lock ref") {
        true => Pushed::MovedOn,
        false => Pushed::Declined(excerpt(summary)),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_words_are_understood() {
        let reason = |words: &str| failed("https://github.com/acme/platform.git", words).reason();
        assert_eq!(reason("fatal: Authentication failed for 'https://github.com/acme/platform.git/'"), "GitRefused");
        assert_eq!(
            reason("fatal: could not read Username for 'https://github.com': terminal prompts disabled"),
            "GitRefused"
        );
        assert_eq!(
            reason("remote: Repository not found.; fatal: repository 'https://x/' not found"),
            "RepositoryNotFound"
        );
        assert_eq!(reason("fatal: unable to access 'https://x/': Could not resolve host: x"), "RepositoryUnreachable");
    }

    #[test]
    fn a_push_is_read_by_its_flag() {
        let line = |flag: &str, summary: &str| format!("To https://x\n{flag}\tabc:refs/heads/main\t{summary}\nDone\n");
        assert_eq!(pushed(line(" ", "1..2").as_bytes(), true), Pushed::Done);
        assert_eq!(pushed(line("!", "[rejected] (fetch first)").as_bytes(), false), Pushed::MovedOn);
        let declined = line("!", "[remote rejected] (protected branch hook declined)");
        assert!(matches!(pushed(declined.as_bytes(), false), Pushed::Declined(_)));
        assert_eq!(pushed(b"", false), Pushed::Failed);
    }
}

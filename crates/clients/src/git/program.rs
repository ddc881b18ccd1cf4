//! Running `git`: an environment of ours, nothing to ask, bounded in time and in what it says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use helix_engine::seams::GitError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::credentials::Credentials;

/// The longest that one command takes: a fetch over a slow line among them.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that is read of an answer: a tree with every definition of every chart, several times over.
const LARGEST_ANSWER: u64 = 256 << 20;
/// The most that is read of complaints.
const LONGEST_COMPLAINT: u64 = 16 << 10;

/// What answers git's questions: a program that is given the question, and tells what the environment holds. It holds
/// nothing itself.
const ASKED: &str = "#!/bin/sh\ncase \"$1\" in\nUsername*) printf '%s\\n' \"$HELIX_GIT_USERNAME\" ;;\n*) printf '%s\\n' \
                     \"$HELIX_GIT_PASSWORD\" ;;\nesac\n";

/// Variables of our own environment that git may see: how the network is reached, which programs there are, and what
/// who started us configures by them.
const PASSED: [&str; 8] = [
    "PATH",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_ALLOW_PROTOCOL",
];
/// The beginning of the names by which git is configured from the environment.
const CONFIGURED: &str = "GIT_CONFIG_";

/// How commands are run in one repository.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) directory: PathBuf,
    pub(super) asked: PathBuf,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) patience: Duration,
}

/// What a command said.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it ended well.
    pub(super) success: bool,
    pub(super) output: Vec<u8>,
    /// Its complaints, bounded.
    pub(super) complaint: String,
}

/// What of our own environment git may see.
pub(super) fn passed_environment() -> Vec<(OsString, OsString)> {
    let ours =
        |name: &OsString| name.to_str().is_some_and(|name| PASSED.contains(&name) || name.starts_with(CONFIGURED));
    std::env::vars_os().filter(|(name, _)| ours(name)).collect()
}

/// Writes the program that answers git's questions.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_asked(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, ASKED)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

impl Program {
    /// A program that works in `directory`.
    pub(super) fn new(directory: PathBuf, asked: PathBuf, environment: Vec<(OsString, OsString)>) -> Self {
        Self { directory, asked, environment, patience: PATIENCE }
    }

    /// Runs a command that needs nobody's permission; a failure is that of git itself.
    pub(super) async fn local(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, GitError> {
        let answer = self.run(arguments, input, None).await?;
        if answer.success {
            return Ok(answer.output);
        }
        let command = arguments.first().copied().unwrap_or_default();
        Err(GitError::NoGit { why: format!("git {command} failed: {}", answer.complaint) })
    }

    /// Runs a command, with credentials for who asks for them.
    pub(super) async fn run(
        &self,
        arguments: &[&str],
        input: &[u8],
        credentials: Option<&Credentials>,
    ) -> Result<Answer, GitError> {
        let child = self.command(arguments, credentials).spawn();
        let mut child = child.map_err(|error| GitError::NoGit { why: error.to_string() })?;
        match tokio::time::timeout(self.patience, talk(&mut child, input)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(GitError::NoGit { why: error.to_string() }),
            Err(_) => {
                // Best effort: the child is killed when it is dropped, too.
                let _ = child.start_kill();
                let complaint = format!("it took longer than {} s", self.patience.as_secs());
                Ok(Answer { success: false, output: Vec::new(), complaint })
            }
        }
    }

    fn command(&self, arguments: &[&str], credentials: Option<&Credentials>) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        if !self.environment.iter().any(|(name, _)| name == "GIT_ALLOW_PROTOCOL") {
            command.env("GIT_ALLOW_PROTOCOL", "https");
        }
        command
            .env("GIT_DIR", &self.directory)
            .env("HOME", &self.directory)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", &self.asked)
            .env("LC_ALL", "C");
        if let Some(credentials) = credentials {
            command.env("HELIX_GIT_USERNAME", &credentials.username);
            command.env("HELIX_GIT_PASSWORD", credentials.password.expose());
        }
        // Of several helpers an empty one forgets those before it. A redirection would carry the password elsewhere.
        command.args(["-c", "credential.helper=", "-c", "http.followRedirects=false", "-c", "gc.auto=0"]);
        command.args(["-c", "core.hooksPath=/dev/null"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Writes and reads at the same time: neither side waits for the other with a full pipe.
async fn talk(child: &mut Child, input: &[u8]) -> std::io::Result<Answer> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // Who stops reading has said why, or says so by its status.
            let _ = stdin.write_all(input).await;
        }
    };
    let mut output = Vec::new();
    let mut complaint = Vec::new();
    let read = async {
        match stdout {
            Some(stdout) => stdout.take(LARGEST_ANSWER).read_to_end(&mut output).await.map(drop),
            None => Ok(()),
        }
    };
    let hear = async {
        match stderr {
            Some(stderr) => stderr.take(LONGEST_COMPLAINT).read_to_end(&mut complaint).await.map(drop),
            None => Ok(()),
        }
    };
    let ((), read, heard) = tokio::join!(write, read, hear);
    read?;
    heard?;
    let complaint = String::from_utf8_lossy(&complaint).trim().replace('\n', "; ");
    Ok(Answer { success: child.wait().await?.success(), output, complaint })
}

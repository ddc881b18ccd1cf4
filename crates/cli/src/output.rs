//! Where text goes: standard output, files that only their owner may read, and the end of the process.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::arguments::Format;
use crate::error::CliError;

/// Exit code for a command line that cannot be understood (`EX_USAGE` of sysexits).
const USAGE: u8 = 64;

/// Writes to standard output. A reader that has seen enough, as `head` has, is no error.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A document in the form that was asked for.
pub(crate) fn formed<T: Serialize>(
    document: &T,
    format: Format,
    table: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    match format {
        Format::Table => Ok(table(document)),
        Format::Json => {
            let json = serde_json::to_string_pretty(document).map_err(|_| CliError::Format { format: "JSON" })?;
            Ok(json + "\n")
        }
        Format::Yaml => yaml(document),
    }
}

/// A YAML document.
pub(crate) fn yaml<T: Serialize>(document: &T) -> Result<String, CliError> {
    serde_saphyr::to_string(document).map_err(|_| CliError::Format { format: "YAML" })
}

/// Says something beside the answer, on standard error. Nobody may be listening; that changes nothing.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Ends a command that failed.
pub(crate) fn failure(error: &CliError) -> ExitCode {
    remark(&format!("helix: {error}"));
    ExitCode::FAILURE
}

/// Ends where the command line asks for help or cannot be understood.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone.
    Owner,
    /// Whoever the umask lets.
    Anybody,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Anybody => 0o666,
        }
    }
}

/// Puts a file in place of an earlier one, at once and with its mode from the first byte on.
pub(crate) fn put(path: &Path, text: &str, readers: Readers) -> Result<(), CliError> {
    let failed = |source| CliError::Write { path: path.to_owned(), source };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    create(Path::new(&unfinished), text, readers).and_then(|()| fs::rename(&unfinished, path)).map_err(failed)
}

/// Makes a file that does not exist yet.
pub(crate) fn put_new(path: &Path, text: &str, readers: Readers) -> Result<(), CliError> {
    create(path, text, readers).map_err(|source| CliError::Write { path: path.to_owned(), source })
}

fn create(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// How errors speak of a place that is read from.
pub(crate) fn called(path: &Path) -> std::path::Display<'_> {
    if path == Path::new("-") { Path::new("standard input").display() } else { path.display() }
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    let text = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    text.map_err(|source| CliError::Read { path: path.to_owned(), source })
}

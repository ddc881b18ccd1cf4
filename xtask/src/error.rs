//! What can go wrong in a command of xtask. Each message names the object, the reason and the remedy; none of these
//! is handled other than by telling the developer.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a command of xtask failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A program that the command needs could not be started.
    #[error("`{program}` can't be started; {remedy}")]
    Start {
        /// The program's name or path.
        program: String,
        /// How to get the program.
        remedy: String,
        /// What the system said.
        source: io::Error,
    },

    /// A program ended with a failure and has said why itself.
    #[error("`{command}` failed ({status}); its own output says why")]
    Failed {
        /// The whole command line.
        command: String,
        /// How the program ended.
        status: ExitStatus,
    },

    /// Tests failed, and their own output, above, says why.
    #[error("these tests failed, and say why above: {failed}")]
    Tests {
        /// Their names.
        failed: String,
    },

    /// A program's output is not what was asked for.
    #[error("`{command}` answered something unexpected: {problem}")]
    Answer {
        /// The whole command line.
        command: String,
        /// What is wrong with the answer.
        problem: String,
    },

    /// A file or directory could not be read or written.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried, as a verb: `read`, `write`, `lock`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A file of the repository does not hold what the command needs from it.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong, and what to write instead.
        problem: String,
    },

    /// A generated resource could not be written as YAML.
    #[error("can't write {what} as YAML: {problem}")]
    Yaml {
        /// The resource.
        what: String,
        /// What the serialiser said.
        problem: String,
    },

    /// Generated files differ from what the code generates.
    #[error("not what the code generates: {}; run `cargo xtask codegen` and commit the result", files.join(", "))]
    Stale {
        /// The stale files, relative to the repository.
        files: Vec<String>,
    },

    /// Committed pictures are not what would be drawn; each was printed.
    #[cfg(feature = "diagrams")]
    #[error("{count} file(s) are not as drawn, listed above; run `cargo xtask diagrams` and commit the result")]
    StaleDiagrams {
        /// How many files.
        count: usize,
    },

    /// Sources of diagrams can't be drawn; each was told with its place.
    #[cfg(feature = "diagrams")]
    #[error("{count} diagram(s) can't be drawn, listed above; the others are")]
    Undrawn {
        /// How many sources.
        count: usize,
    },

    /// The renderer of diagrams can't begin.
    #[cfg(feature = "diagrams")]
    #[error("no diagram can be drawn")]
    Drawing {
        /// Why.
        source: crate::diagrams::DrawError,
    },

    /// Documents differ from what the code says.
    #[error("not what the code says: {}; run `cargo xtask docs` and commit the result", files.join(", "))]
    StaleDocs {
        /// The stale files, relative to the repository.
        files: Vec<String>,
    },

    /// `tidy` or `docs` found something; each finding was printed.
    #[error("{count} finding(s), listed above")]
    Untidy {
        /// How many findings there are.
        count: usize,
    },

    /// System packages that the tests need are missing and can't be installed from here.
    #[error("the tests need the system packages {packages}; install them: {remedy}")]
    Packages {
        /// The missing packages.
        packages: String,
        /// The command that installs them.
        remedy: String,
    },

    /// A directory holds no sandbox that runs.
    #[error(
        "no sandbox runs in {}; start one with `cargo xtask sandbox --prometheus --detach`, or choose another --dir",
        directory.display()
    )]
    NoSandbox {
        /// The directory.
        directory: PathBuf,
    },

    /// A directory holds a sandbox that runs.
    #[error(
        "a sandbox runs in {}; stop it with `cargo xtask sandbox down --dir {}`, or choose another --dir",
        directory.display(), directory.display()
    )]
    SandboxRuns {
        /// The sandbox's directory.
        directory: PathBuf,
    },

    /// A process of a sandbox ended by itself.
    #[error("{program} has ended ({status}); {} says why", log.display())]
    Ended {
        /// The process's name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        log: PathBuf,
    },

    /// Something did not happen in time.
    #[error("{what} is not ready after {seconds} s; the logs in {} say why", logs.display())]
    NotReady {
        /// What was waited for.
        what: String,
        /// How long was waited.
        seconds: u64,
        /// Where the logs are.
        logs: PathBuf,
    },

    /// Somebody pressed Ctrl-C, or the system asked to end.
    #[error("interrupted; nothing is left running")]
    Interrupted,

    /// The system does not let signals be waited for.
    #[error("can't wait for signals")]
    Signals {
        /// What the system said.
        source: io::Error,
    },

    /// Processes of a sandbox could not be killed.
    #[error("can't stop the processes {processes}; end them with `kill -9` as their owner")]
    Unstoppable {
        /// Their process ids.
        processes: String,
    },

    /// The simulation does not show what it promises to show.
    #[error(
        "of {guards} guards (at least {fewest} are promised) these can be broken and nothing is noticed: [{}]; give each \
         a scenario in which it matters, in crates/sim/src/lives/scenarios.rs", unnoticed.join(", ")
    )]
    Unnoticed {
        /// How many guards there are.
        guards: usize,
        /// How many there have to be.
        fewest: usize,
        /// Those that nobody misses.
        unnoticed: Vec<String>,
    },

    /// No figure has a name that begins so.
    #[error("no figure's name begins with {name}; `cargo xtask bench` shows all")]
    NoFigure {
        /// What was asked for.
        name: String,
    },

    /// A measurement needs more memory than is free.
    #[error(
        "it needs {needed} GiB of memory and {available:.1} GiB are available; end something else or use a larger machine"
    )]
    TooLittleMemory {
        /// In GiB.
        needed: f64,
        /// In GiB.
        available: f64,
    },

    /// The sandbox needs addresses that other systems don't have.
    #[error(
        "the sandbox gives each simulated machine an address of 127.0.0.0/8 of its own, which needs no set-up on Linux \
         and is not to be had elsewhere; run it on Linux, in a virtual machine or a container"
    )]
    OnlyLinux,
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

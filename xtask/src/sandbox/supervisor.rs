//! Starting a sandbox's processes and waiting for what they do, as long as none of them ends and nobody interrupts.

use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::processes::Processes;
use crate::sandbox::signals;
use crate::sandbox::watch::Event;

/// How often a condition is looked at that sends no event.
const TICK: Duration = Duration::from_millis(100);

/// Watches over one sandbox while this command runs.
pub(crate) struct Supervisor {
    directory: Directory,
    processes: Processes,
    sender: Sender<Event>,
    events: Receiver<Event>,
}

impl Supervisor {
    /// Of a sandbox of which nothing runs yet. From here on Ctrl-C is an event.
    ///
    /// # Errors
    /// [`Error::Signals`].
    pub(crate) fn of(directory: &Directory) -> Result<Self, Error> {
        let (sender, events) = channel();
        signals::forward(sender.clone())?;
        Ok(Self { directory: directory.clone(), processes: Processes::of(directory), sender, events })
    }

    /// The sandbox's directory.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where events go.
    pub(crate) fn sender(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// As [`Processes::start`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command) -> Result<(), Error> {
        self.processes.start(name, command)
    }

    /// Waits until `done`.
    ///
    /// # Errors
    /// [`Error::NotReady`] when it takes longer than `longest`, and as [`Supervisor::next`].
    pub(crate) fn wait(&mut self, what: &str, longest: Duration, mut done: impl FnMut() -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + longest;
        while !done() {
            if Instant::now() > deadline {
                return Err(Error::NotReady {
                    what: what.to_owned(),
                    seconds: longest.as_secs(),
                    logs: self.directory.path("logs"),
                });
            }
            self.next(TICK)?;
        }
        Ok(())
    }

    /// The next event, or none within `longest`.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after Ctrl-C, [`Error::Ended`] when a process of the sandbox is gone.
    pub(crate) fn next(&mut self, longest: Duration) -> Result<Option<Event>, Error> {
        self.processes.check()?;
        match self.events.recv_timeout(longest) {
            Ok(Event::Interrupted) => Err(Error::Interrupted),
            Ok(event) => Ok(Some(event)),
            // This holds a sender itself, so nobody can be the last one to leave.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    /// Whether somebody has pressed Ctrl-C and nobody has taken notice: what failed then, failed for that reason.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.events.try_iter().any(|event| matches!(event, Event::Interrupted))
    }
}

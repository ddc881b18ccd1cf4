//! Ctrl-C and its kin as events, so that a sandbox is stopped in order instead of being left behind.

use std::sync::mpsc::Sender;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::error::Error;
use crate::sandbox::watch::Event;

/// From now on sends [`Event::Interrupted`] in place of letting SIGINT, SIGTERM or SIGHUP end this program. To be
/// called before any thread is started: threads inherit what is blocked. Programs that are started do not.
///
/// # Errors
/// [`Error::Signals`] when the system refuses.
pub(crate) fn forward(events: Sender<Event>) -> Result<(), Error> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().map_err(|source| Error::Signals { source })?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            if events.send(Event::Interrupted).is_err() {
                return;
            }
        }
    });
    Ok(())
}

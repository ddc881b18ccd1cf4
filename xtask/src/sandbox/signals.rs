//! Ctrl-C and its kin as events, so that a sandbox is stopped in order instead of being left behind.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::sandbox::watch::Event;

/// From now on sends [`Event::Interrupted`] in place of letting SIGINT, SIGTERM or SIGHUP end this program. They are
/// handled and not blocked: what is blocked, the programs that are started would inherit, and then not end when asked.
///
/// # Errors
/// [`Error::Signals`] when the system refuses.
pub(crate) fn forward(events: Sender<Event>) -> Result<(), Error> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().map_err(refused)?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(refused)?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if events.send(Event::Interrupted).is_err() {
                    return;
                }
            }
        });
    });
    Ok(())
}

fn refused(source: io::Error) -> Error {
    Error::Signals { source }
}

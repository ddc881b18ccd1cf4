//! Work of the engine that goes on beside its turns: it gets on whenever time has passed, and dies with the process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;

use super::Universe;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything that has been set going and has not come to its end.
#[derive(Clone, Default)]
pub(super) struct Beside(Arc<Mutex<Vec<Work>>>);

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}

impl Beside {
    pub(super) fn add(&self, work: Work) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Lets all get as far as they can now. They may look at the universe meanwhile.
    pub(super) fn get_on(&self) {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.retain_mut(|work| work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&mut all);
    }

    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Ends when the universe's time has come; within a turn time stands still, and it never does.
pub(super) struct Until {
    pub(super) universe: Universe,
    pub(super) at: Timestamp,
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.universe.lock().now >= self.at { Poll::Ready(()) } else { Poll::Pending }
    }
}

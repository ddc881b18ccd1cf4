//! The engine's clock, played on the universe's time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use helix_engine::seams::Clock;
use jiff::{SignedDuration, Timestamp};

use super::Universe;
use super::beside::Until;

impl Clock for Universe {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Time stands still while a turn is made: whoever does not answer at once never does.
    fn pause(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        let at = self.lock().now.checked_add(span).unwrap_or(Timestamp::MAX);
        Box::pin(Until { universe: self.clone(), at })
    }

    /// It gets as far as it can at once; a turn whose process is killed by it goes no further.
    fn set_going(&self, work: Pin<Box<dyn Future<Output = ()> + Send>>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.1.add(work);
        self.1.get_on();
        if self.lock().killed { Box::pin(std::future::pending()) } else { Box::pin(std::future::ready(())) }
    }
}

//! Asking the same of several that may know: none of them is waited for longer than it takes to ask another.

use std::time::Duration;

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{BoxFuture, Either, select};
use futures::stream::FuturesUnordered;

use crate::seams::Clock;

/// How long whoever is asked has before another is asked, too.
const HEAD_START: Duration = Duration::from_secs(1);

/// The answer, if it comes in that time.
pub(super) async fn within<T>(clock: &dyn Clock, span: Duration, question: BoxFuture<'_, T>) -> Option<T> {
    match select(question, clock.pause(span)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}

/// The first good answer, else the last bad one; none where nobody is asked. Each is asked when the one before has
/// failed, or has used up its head start.
pub(super) async fn first_good<'a, T, E>(
    clock: &dyn Clock,
    questions: impl IntoIterator<Item = BoxFuture<'a, Result<T, E>>>,
) -> Option<Result<T, E>> {
    let mut waiting = questions.into_iter();
    let mut asked: FuturesUnordered<_> = waiting.next().into_iter().collect();
    let mut last = None;
    loop {
        match select(asked.next(), clock.pause(HEAD_START)).await {
            Either::Left((Some(Ok(answer)), _)) => return Some(Ok(answer)),
            Either::Left((Some(Err(error)), _)) => {
                last = Some(Err(error));
                asked.extend(waiting.next());
            }
            Either::Left((None, _)) => return last,
            Either::Right(((), _)) => asked.extend(waiting.next()),
        }
    }
}

/// The answer of the one that is preferred, if it is good; else the first good one of the others. These are asked when
/// the preferred one has failed or used up its head start, so that their answer is at hand when it fails in the end.
pub(super) async fn preferring<'a, T: Send, E: Send>(
    clock: &dyn Clock,
    preferred: BoxFuture<'a, Result<T, E>>,
    others: impl IntoIterator<Item = BoxFuture<'a, Result<T, E>>, IntoIter: Send> + Send,
) -> Result<T, E> {
    let preferred = match select(preferred, clock.pause(HEAD_START)).await {
        Either::Left((Ok(answer), _)) => return Ok(answer),
        Either::Left((Err(error), _)) => return first_good(clock, others).await.unwrap_or(Err(error)),
        Either::Right(((), preferred)) => preferred,
    };
    match select(preferred, first_good(clock, others).boxed()).await {
        Either::Left((Ok(answer), _)) => Ok(answer),
        Either::Left((Err(error), others)) => others.await.unwrap_or(Err(error)),
        Either::Right((other, preferred)) => match (preferred.await, other) {
            (Err(_), Some(other)) => other,
            (answer, _) => answer,
        },
    }
}

//! The secret bundle: made once, before anything that depends on it, and never again while anything exists.

use super::{Context, Outcome};
use crate::guard::{self, Guard};
use crate::report::Block;
use crate::step::Step;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    match &context.store.bundle {
        Some(_) if context.store.bootstrap.is_some() && context.cloud.is_empty() => {
            Outcome::blocked(Block::WrongProject { platform: context.platform.identity.name.clone() })
        }
        Some(bundle) => {
            Outcome::done(format!("secret bundle {} is stored", bundle.digest), context.observed.store.at())
        }
        None if !context.cloud.servers.is_empty() && guard::holds(Guard::BundleOnce) => {
            Outcome::blocked(Block::BundleLost { servers: context.cloud.servers.len() })
        }
        None => Outcome::step(Step::CreateSecretBundle),
    }
}

//! The SSH key that every server is created with. Talos has no SSH; but without a key Hetzner makes a root password for
//! each server and mails it. Its private half is thrown away as it is made.

use super::{Context, Outcome};
use crate::step::Step;

pub(super) fn plan(context: &Context<'_>) -> Outcome {
    let identity = &context.platform.identity;
    match context.cloud.ssh_keys.first() {
        Some(key) => Outcome::done(format!("SSH key {} exists", key.name), context.observed.cloud.at()),
        None => Outcome::step(Step::CreateSshKey { name: identity.base_name(), labels: identity.labels() }),
    }
}

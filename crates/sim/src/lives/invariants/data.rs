//! What must hold of data in clusters: its last healthy copy is taken by nobody, and nothing that stands for it is pruned.

use super::super::picture::Picture;
use super::{Call, deleted};

pub(super) fn last_copies_stay(call: &Call<'_>) -> Option<String> {
    if call.platform.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let runs = |picture: &Picture, name: &String| {
        picture.machines.values().any(|machine| machine.name == *name && machine.up && !machine.going)
    };
    let gone = |name: &String| deleted(call).any(|machine| machine.name == *name);
    let lost = call.before.copies.iter().find(|(_, (wanted, places))| {
        let mut left = places.iter().filter(|name| runs(call.before, name)).peekable();
        left.peek().is_some() && left.all(|name| !runs(call.after, name) && (*wanted > 1 || gone(name)))
    });
    lost.map(|(name, (wanted, places))| format!("the last of {wanted} copies of {name} is taken, of {places:?}"))
}

pub(super) fn is_not_pruned(call: &Call<'_>) -> Option<String> {
    if call.platform.metadata.deletion_timestamp.is_some() || call.name != "delete object" {
        return None;
    }
    let lost = call.before.data.difference(&call.after.data).next()?;
    Some(format!("{lost} is gone, which holds data or is a user's"))
}

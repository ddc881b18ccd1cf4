//! A platform that loses all control planes at once: etcd comes up again from the simulated bucket because somebody asks for
//! it, and never once more by the same asking.

use helix_crds::labels::RESTORE_FROM;
use serde_json::json;

use super::super::spec::plain;
use super::super::story::Story;
use super::{Made, Played, unlike};
use crate::world::Rng;

/// Three control planes whose etcd is saved every half hour.
pub(super) fn saved(_: &mut Rng) -> Made {
    let store = json!({
        "endpoint": "https://objects.example.com", "bucket": "life-backups",
        "credentialsSecretRef": {"name": "backup-s3"},
    });
    plain(&json!({"backup": {"etcd": {"schedule": "*/30 * * * *", "retention": "4h", "s3": store}}}))
}

pub(super) fn lost_twice(story: &mut Story) -> Played {
    story.settle()?;
    story.live(40)?;
    lose_all(story);
    story.live(10)?;
    story.note("a restore is asked for");
    story.life.annotate(RESTORE_FROM, "latest");
    for _ in 0..story.rng.below(4) {
        story.kill_soon();
        story.live(2)?;
    }
    story.settle()?;
    let restored = |story: &Story| (story.universe().counts().recoveries, story.universe().counts().bootstraps);
    if restored(story) != (1, 1) {
        return Err(unlike(format!("restored and bootstrapped {:?} times", restored(story))));
    }
    story.live(40)?;
    lose_all(story);
    story.live(60)?;
    let said = story.waiting_for();
    if !said.contains("had its restore") {
        return Err(unlike(format!("lost once more, the platform waits for `{said}`")));
    }
    story.end()
}

fn lose_all(story: &mut Story) {
    for name in ["life-cp-0", "life-cp-1", "life-cp-2"] {
        story.delete_by_hand(name);
    }
}

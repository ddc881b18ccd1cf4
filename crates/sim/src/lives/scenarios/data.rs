//! Platforms of all phases whose workers hold data: through changes of machines and components, its last healthy copy stays
//! and nothing that stands for data is pruned.

use helix_crds::HelixPlatform;
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::spec;
use super::super::story::Story;
use super::{Made, Played, unlike, upgrade};
use crate::world::Rng;
use crate::world::machine::{HeldObject, Replicated};

/// How long another copy takes to become whole.
const REBUILT_IN: SignedDuration = SignedDuration::from_mins(4);

/// Minutes in which all copies are whole again, with every worker replaced one after the other.
const WHOLE_AGAIN: i64 = 60;

/// What has copies, and on which of the workers; a database's name has a slash.
const COPIES: [(&str, &[u32]); 3] = [("pvc-1", &[0, 1]), ("pvc-2", &[1, 2, 3]), ("databases/main", &[0, 2, 3])];

pub(super) fn platform(_: &mut Rng) -> Made {
    spec::of_all_phases()
}

/// All phases, and data on the workers.
fn inhabit(story: &mut Story) -> Played {
    story.settle()?;
    story.note("there is data");
    story.at_cluster(|guests, server, now| {
        let Some(inside) = guests.inside_at_mut(server) else { return };
        for (name, slots) in COPIES {
            let wanted = u32::try_from(slots.len()).unwrap_or_default();
            let on = slots.iter().map(|slot| format!("{}-general-{slot}", spec::NAME)).collect();
            inside.volumes.insert(name.to_owned(), Replicated::rebuilt_in(wanted, on, REBUILT_IN));
        }
        // What a user has put beside a component.
        let claim =
            ("v1".to_owned(), "PersistentVolumeClaim".to_owned(), Some("databases".to_owned()), "notes".to_owned());
        let held = HeldObject {
            uid: "of-a-user".to_owned(),
            component: None,
            manager: "kubectl".to_owned(),
            digest: None,
            contested: Vec::new(),
            models: Vec::new(),
            since: now,
        };
        inside.objects.insert(claim, held);
    });
    story.live(1)
}

/// What has fewer healthy copies than it could have on the workers that there are.
fn degraded(story: &Story) -> Option<String> {
    let workers = story.life.platform().spec.worker_pools[0].replicas.unwrap_or_default() as usize;
    story.universe().with_world(|world, _, _| {
        let is_degraded = |it: &Replicated| !it.is_whole() && it.healthy_on.len() < workers;
        let found = world.guests().all_replicated().find(|(_, it)| is_degraded(it));
        found.map(|(name, it)| {
            format!("{name} has {} of {} copies: {:?}", it.healthy_on.len(), it.wanted, it.healthy_on)
        })
    })
}

fn whole_again(story: &mut Story) -> Played {
    story.live(WHOLE_AGAIN)?;
    story.settle()?;
    degraded(story).map_or(Ok(()), |what| Err(unlike(what)))
}

/// Whoever may be away at once takes no two copies of anything, be it for a while or for good.
pub(super) fn rolled(story: &mut Story) -> Played {
    inhabit(story)?;
    story.edit("three workers at once", |platform| platform.spec.upgrade.max_unavailable = IntOrString::Int(3));
    upgrade(story);
    whole_again(story)?;
    match story.rng.below(2) {
        0 => replace_workers(story),
        _ => scale(story, 2),
    }
    whole_again(story)?;
    story.end()
}

fn replace_workers(story: &mut Story) {
    story.edit("another type", |platform| {
        for placement in &mut platform.spec.worker_pools[0].placements {
            let larger = if placement.server_type == "cpx32" { "cx33" } else { "cpx32" };
            larger.clone_into(&mut placement.server_type);
        }
    });
}

fn scale(story: &mut Story, replicas: u32) {
    story.edit(&format!("{replicas} workers"), |platform| platform.spec.worker_pools[0].replicas = Some(replicas));
}

/// Components go of which nothing must go that holds data, or that a user has made.
pub(super) fn switched_off(story: &mut Story) -> Played {
    inhabit(story)?;
    for _ in 0..2 {
        let (what, change) = story.choose(&OFF);
        story.edit(what, change);
        story.live(15)?;
        story.settle()?;
    }
    story.end()
}

type Off = (&'static str, fn(&mut HelixPlatform));

/// What can be switched off.
const OFF: [Off; 4] = [
    ("no models", |platform| platform.spec.ai = None),
    ("no databases", |platform| {
        if let Some(data) = &mut platform.spec.data {
            data.postgres.clear();
        }
    }),
    ("no caches", |platform| {
        if let Some(data) = &mut platform.spec.data {
            data.redis.clear();
        }
    }),
    ("no databases and no caches", |platform| {
        if let Some(data) = &mut platform.spec.data {
            data.postgres.clear();
            data.redis.clear();
        }
    }),
];

/// A random life with data: changed, troubled and harmed, one at a time, so that copies can be made anew in between.
pub(super) fn random(story: &mut Story) -> Played {
    inhabit(story)?;
    for _ in 0..1 + story.rng.below(2) {
        match story.rng.below(5) {
            0 => upgrade(story),
            1 => replace_workers(story),
            2 => {
                let replicas = 3 + u32::try_from(story.rng.below(3)).unwrap_or_default();
                scale(story, replicas);
            }
            3 => {
                let (what, change) = story.choose(&OFF);
                story.edit(what, change);
            }
            _ => story.harm(),
        }
        story.endure()?;
        story.approve();
        story.end_trouble();
        whole_again(story)?;
    }
    story.end()
}

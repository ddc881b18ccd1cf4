//! What hurts the users of others, each as a script that ends well here.

use super::super::spec::pick;
use super::super::story::Story;
use super::{Played, unlike};
use crate::faults::{CallPattern, Fault, Injection};
use crate::inprocess::Kill;

pub(super) fn stopped_member(story: &mut Story) -> Played {
    story.settle()?;
    story.hang("life-cp-1");
    story.edit("four workers", |platform| platform.spec.worker_pools[0].replicas = Some(4));
    story.live(5)?;
    let made = story.servers().len();
    if made != 7 {
        return Err(unlike(format!("{made} servers five minutes after four workers were asked for")));
    }
    story.settle()?;
    story.end()
}

pub(super) fn crash_after_create(story: &mut Story) -> Played {
    for _ in 0..12 {
        let calls = 1 + story.rng.below(25);
        story.universe().kill_in(calls, Kill::After);
        story.live(1)?;
    }
    story.settle()?;
    story.end()
}

pub(super) fn sold_out(story: &mut Story) -> Played {
    let fault = Fault::NoCapacity { server_type: None, location: Some("fsn1".to_owned()), placement_error: false };
    story.universe().with_world(|world, _, _| world.inject(Injection::standing(fault)));
    story.settle()?;
    story.end()
}

pub(super) fn used_up(story: &mut Story) -> Played {
    story.live(1)?;
    story.drain_the_token();
    story.settle()?;
    story.end()
}

pub(super) fn config_change(story: &mut Story) -> Played {
    story.settle()?;
    let before = story.servers();
    story.edit("another label and another allow-list", |platform| {
        platform.spec.worker_pools[0].labels.insert("team".to_owned(), "blue".to_owned());
        let helix_crds::ProviderSpec::Hetzner(hetzner) = &mut platform.spec.provider;
        hetzner.api_allowlist.push("192.0.2.7/32".to_owned());
    });
    story.settle()?;
    if story.servers() != before {
        return Err(unlike("servers were made anew"));
    }
    story.end()
}

pub(super) fn upgrade(story: &mut Story) {
    story.edit("Talos v1.14.4", |platform| platform.spec.versions.talos = "v1.14.4".to_owned());
}

pub(super) fn killed_upgrade(story: &mut Story) -> Played {
    story.settle()?;
    let before = story.servers();
    upgrade(story);
    for _ in 0..20 {
        story.kill_soon();
        story.live(2)?;
    }
    story.settle()?;
    if story.servers() != before {
        return Err(unlike("servers were made anew"));
    }
    story.end()
}

pub(super) fn upgraded(story: &mut Story) -> Played {
    story.settle()?;
    upgrade(story);
    story.settle()?;
    story.end()
}

pub(super) fn one_node(story: &mut Story) -> Played {
    story.settle()?;
    let before = story.servers();
    story.delete_by_hand("life-general-1");
    story.live(20)?;
    story.settle()?;
    let after = story.servers();
    let same = before.iter().filter(|server| after.contains(server)).count();
    if same != before.len() - 1 {
        return Err(unlike(format!("{same} of {} servers stayed", before.len())));
    }
    story.end()
}

pub(super) fn first_control_plane(story: &mut Story) -> Played {
    story.settle()?;
    if story.rng.happens(500) {
        story.hang("life-cp-0");
    } else {
        story.delete_by_hand("life-cp-0");
    }
    story.live(25)?;
    story.settle()?;
    story.end()
}

/// One of those that a platform begins with, a worker that comes later, and a control plane that does.
pub(super) fn never_boots(story: &mut Story) -> Played {
    let stays_down = |story: &Story, name: &str| {
        let fault = Fault::NeverBoots { server: Some(name.to_owned()) };
        story.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 1)));
    };
    let first = *pick(&mut story.rng, &["life-cp-0", "life-cp-2", "life-general-0"]);
    stays_down(story, first);
    story.settle()?;
    stays_down(story, "life-general-2");
    stays_down(story, "life-cp-4");
    story.edit("five control planes and three workers", |platform| {
        platform.spec.control_plane.replicas = 5;
        platform.spec.worker_pools[0].replicas = Some(3);
    });
    story.settle()?;
    story.end()
}

pub(super) fn limits(story: &mut Story) -> Played {
    let call = CallPattern::new("POST", "/servers");
    let fault = Fault::Refused { call, code: "resource_limit_exceeded".to_owned() };
    story.universe().with_world(|world, _, _| world.inject(Injection::times(fault, 6)));
    story.settle()?;
    let groups = story.universe().with_world(|world, project, _| world.project(project).placement_groups.len());
    if groups != 3 {
        return Err(unlike(format!("{groups} placement groups for 3 control planes and 11 workers")));
    }
    story.end()
}

pub(super) fn retired(story: &mut Story) -> Played {
    story.settle()?;
    let before = story.servers();
    story.universe().with_world(|world, _, now| {
        let fault = Fault::Retired { server_type: "cx33".to_owned(), location: None, unavailable_after: now };
        world.inject(Injection::standing(fault));
    });
    story.life.restart();
    story.edit("another label", |platform| {
        platform.spec.worker_pools[0].labels.insert("team".to_owned(), "blue".to_owned());
    });
    story.settle()?;
    if story.servers() != before {
        return Err(unlike("servers were made anew"));
    }
    story.end()
}

pub(super) fn locked_out(story: &mut Story) -> Played {
    story.settle()?;
    for name in ["life-cp-0", "life-cp-1", "life-cp-2"] {
        story.hang(name);
    }
    story.edit("another allow-list", |platform| {
        let helix_crds::ProviderSpec::Hetzner(hetzner) = &mut platform.spec.provider;
        hetzner.api_allowlist = vec!["192.0.2.7/32".to_owned()];
    });
    story.live(5)?;
    let let_in = story.universe().with_world(|world, project, _| {
        let rules = world.project(project).firewalls.values().flat_map(|firewall| &firewall.rules);
        rules.flat_map(|rule| &rule.source_ips).any(|range| range.to_string() == "192.0.2.7/32")
    });
    if !let_in {
        return Err(unlike("the firewall does not let the new address in"));
    }
    story.end()
}

pub(super) fn hung_api_server(story: &mut Story) -> Played {
    story.settle()?;
    let Some(hung) = story.server("life-cp-1") else { return Err(unlike("there is no life-cp-1")) };
    // Which target is in rotation is the socket world's to show: here only what the load balancer was told to ask.
    let asks = story.universe().with_world(|world, project, now| {
        world.guests_mut(now).end_static_pods(hung, now);
        let balancers = world.project(project).load_balancers.values();
        balancers.flat_map(|it| it.services.values()).all(|service| service.health_check.http.is_some())
    });
    if !asks {
        return Err(unlike("the load balancer asks for a socket, not for health"));
    }
    story.settle()?;
    story.end()
}

pub(super) fn slow_boots(story: &mut Story) -> Played {
    for _ in 0..story.rng.below(4) {
        story.kill_soon();
        story.live(1)?;
    }
    story.settle()?;
    story.end()
}

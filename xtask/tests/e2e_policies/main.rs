//! The policies of the full example, judged by Cilium's own policy engine: for every pair of all who could meet and
//! every port, what it lets out at one end and lets in at the other is what the matrix says; and each rule that is
//! taken out or made wider is noticed.
//!
//! What the engine cannot show is in decision 18. Whether the matrix itself is wise is not asked here.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod engine;
mod mutations;
mod scene;

use std::thread;
use std::time::Instant;

use serde_json::json;

use engine::Engine;
use mutations::Mutant;
use scene::Scene;

#[test]
fn every_verdict_of_cilium_is_that_of_the_matrix() {
    let (mut engine, scene) = (Engine::start(), Scene::full());
    let started = Instant::now();
    assert_eq!(scene.differences(&mut engine, &scene.policies, None), Vec::<String>::new());
    println!("{scene} in {:.1} s", started.elapsed().as_secs_f64());
    let allowed = scene.expected.values().map(Vec::len).sum::<usize>();
    assert!(allowed > 500, "only {allowed} calls are allowed: that is not the full example");
}

/// Cilium's health checks are no flow of the matrix: their rule is judged alone.
#[test]
fn machines_check_each_others_health_and_nobody_else_does() {
    let (mut engine, scene) = (Engine::start(), Scene::full());
    assert_eq!(scene.health(&mut engine, &scene.policies), Vec::<String>::new());
}

#[test]
fn a_rule_too_few_or_too_wide_is_noticed() {
    let scene = Scene::full();
    let mutants = mutations::of(&scene.documents);
    assert!(mutants.len() > 500, "only {} mutants", mutants.len());
    let started = Instant::now();
    let unnoticed: Vec<String> = thread::scope(|scope| {
        let halves = mutants.chunks(mutants.len().div_ceil(2)).map(|half| scope.spawn(|| unnoticed(&scene, half)));
        let halves: Vec<_> = halves.collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    println!("{} mutants in {:.1} s", mutants.len(), started.elapsed().as_secs_f64());
    assert_eq!(unnoticed, Vec::<String>::new());
}

fn unnoticed(scene: &Scene, mutants: &[Mutant]) -> Vec<String> {
    let mut engine = Engine::start();
    let goes_unnoticed = |mutant: &&Mutant| {
        let policies = mutant.applied_to(&scene.policies);
        let subjects = scene.subjects(&mutant.namespaces);
        scene.differences(&mut engine, &policies, Some(&subjects)).is_empty()
            && (!mutant.namespaces.is_empty() || scene.health(&mut engine, &policies).is_empty())
    };
    mutants.iter().filter(goes_unnoticed).map(|mutant| mutant.what.clone()).collect()
}

/// The engine must refuse what the agent would, or it judges something else than what will be in force.
#[test]
fn a_policy_that_the_agent_would_refuse_is_told() {
    let (mut engine, scene) = (Engine::start(), Scene::full());
    let mut unknown = scene.documents[0].clone();
    unknown["specs"][0]["enableDefaultDeny"] = json!({"ingress": true});
    let mut wrong = scene.documents[0].clone();
    wrong["specs"][0]["egress"] = json!([{"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["192.0.2.0/24"]}]}]);
    for (policy, says) in [(unknown, "enableDefaultDeny"), (wrong, "192.0.2.0/24")] {
        let refused = engine.ask(&scene.question(&[policy.to_string()], &[], None, &[])).unwrap_err();
        assert!(refused.contains(says), "{refused}");
    }
}

//! The GitOps tree in process: published, synced, kept, and never over what somebody else has written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test they are called from")]

mod support;

use helix_crds::{GitOps, GitRepository, HelixPlatform, Ollama, PhaseName, Publish};
use helix_sim::inprocess::life::Life;
use support::{HOUR, sandbox, universe};

/// A platform with Argo CD, models, and a repository that is published to in that way.
fn platform(publish: Publish) -> HelixPlatform {
    let mut platform = sandbox();
    platform.spec.until_phase = PhaseName::AiAgentic;
    let repository: GitRepository =
        serde_json::from_value(serde_json::json!({"url": "https://github.com/acme/platform.git"})).unwrap();
    platform.spec.gitops = Some(GitOps { repository: Some(repository), publish, ..GitOps::default() });
    let ai = platform.spec.ai.get_or_insert_default();
    ai.ollama = Some(serde_json::from_value::<Ollama>(serde_json::json!({"models": ["llama3.2:3b"]})).unwrap());
    platform
}

#[test]
fn what_comes_after_argo_cd_is_published_once_and_synced() {
    let mut life = Life::new(universe(1), platform(Publish::Commit));
    life.until_ready(HOUR).unwrap();
    assert_eq!(life.universe().commits(), 1, "all of it in one commit");
    let told: Vec<&str> = life.events.iter().map(|event| event.message.as_str()).collect();
    assert!(told.contains(&"publish to repository https://github.com/acme/platform.git"), "{told:#?}");
}

/// What is told of the platform's phase in that state, once it is.
fn until_told(life: &mut Life, words: &str) {
    let told = |platform: &HelixPlatform| serde_json::to_string(&platform.status).unwrap();
    let there = life.until(HOUR, |platform, _| told(platform).contains(words));
    assert!(there.is_ok(), "{there:?}: {}", told(life.platform()));
}

#[test]
fn without_publishing_it_waits_for_who_merges() {
    let mut life = Life::new(universe(2), platform(Publish::None));
    until_told(&mut life, "is to be merged into main of https://github.com/acme/platform.git");
    assert_eq!(life.universe().commits(), 0);
    life.edit(|platform| platform.spec.gitops.as_mut().unwrap().publish = Publish::Commit);
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_pull_request_says_what_to_write_instead() {
    let mut life = Life::new(universe(3), platform(Publish::PullRequest));
    until_told(&mut life, "gitops.publish: PullRequest is not implemented yet");
}

#[test]
fn a_repository_that_refuses_is_told_and_holds_up_nothing_before_it() {
    let universe = universe(4);
    universe.let_repository_refuse(true);
    let mut life = Life::new(universe, platform(Publish::Commit));
    until_told(&mut life, "spec.gitops.repository.credentialsSecretRef");
    let ready = |phase: PhaseName| {
        let status = life.platform().status.clone().unwrap();
        status.phases.iter().any(|it| it.name == phase && it.state == helix_crds::PhaseState::Ready)
    };
    assert!(ready(PhaseName::SecurityWeave));
    life.universe().let_repository_refuse(false);
    life.until_ready(HOUR).unwrap();
}

#[test]
fn a_file_that_somebody_else_changed_stays_as_it_is() {
    let mut life = Life::new(universe(5), platform(Publish::Commit));
    life.until_ready(HOUR).unwrap();
    let path = "applications/ollama.yaml";
    life.universe().change_file(path);
    let commits = life.universe().commits();
    until_told(&mut life, &format!("{path} in https://github.com/acme/platform.git was made or changed"));
    assert_eq!(life.universe().commits(), commits);
}

//! Publishing to a branch against the stand-in of GitHub: what is on the branch in the end, and what is said when it
//! cannot be.
//!
//! The simulator shares no types with the client, so an agreement between them is one about the wire.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use helix_clients::github::{BranchName, GitHub, GitHubError, Published};
use helix_plan::secrets::Secret;
use helix_sim::github::{self, Rights};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const TOKEN: &str = "github_pat_of-a-publisher";
const REPOSITORY: &str = "octocat/helix";
const BRANCH: &str = "gh-pages";

struct Stand {
    github: github::GitHub,
    url: String,
    _stop: DropGuard,
}

impl Stand {
    /// With a repository that has a commit on its main branch.
    async fn start() -> Self {
        let github = github::GitHub::default();
        github.add_token(TOKEN, Rights::Write);
        github.commit_file(REPOSITORY, "main", "README.md", b"# Helix\n");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(github::serve(listener, github.clone(), stop.clone()));
        Self { github, url, _stop: stop.drop_guard() }
    }

    fn client(&self, repository: &str, token: &str) -> GitHub {
        GitHub::connect(&self.url, repository.parse().unwrap(), &Secret::new(token)).unwrap()
    }

    async fn publish(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<Published, GitHubError> {
        self.client(REPOSITORY, TOKEN).publish(&branch(), files, "Publish").await
    }

    fn head(&self) -> github::Head {
        self.github.head(REPOSITORY, BRANCH).unwrap()
    }
}

fn branch() -> BranchName {
    BRANCH.parse().unwrap()
}

fn files(pairs: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect()
}

fn site() -> BTreeMap<String, Vec<u8>> {
    files(&[
        ("index.html", b"<!DOCTYPE html>"),
        ("metrics/uptime.json", b"{}"),
        ("metrics/a/b.txt", "ä".as_bytes()),
        ("picture.png", b"\x89PNG\xff\x00"),
        (".nojekyll", b""),
    ])
}

#[tokio::test]
async fn branch_that_is_missing_is_made_without_a_past() {
    let stand = Stand::start().await;
    let published = stand.publish(&site()).await.unwrap();
    let head = stand.head();
    assert_eq!(published, Published::Committed { commit: head.commit, made_branch: true });
    assert_eq!((head.files, head.parents, head.message.as_str()), (site(), Vec::new(), "Publish"));
}

#[tokio::test]
async fn later_files_take_the_place_of_earlier_ones() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    let first = stand.head();
    let mut later = site();
    later.remove("metrics/a/b.txt");
    later.insert("index.html".to_owned(), b"new".to_vec());
    stand.publish(&later).await.unwrap();
    assert_eq!(stand.head().files, later);
    assert_eq!(stand.head().parents, [first.commit]);
}

#[tokio::test]
async fn nothing_is_committed_when_nothing_changed() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    let first = stand.head();
    let again = stand.publish(&site()).await.unwrap();
    assert_eq!(again, Published::Unchanged { commit: first.commit.clone() });
    assert_eq!(stand.head(), first);
}

#[tokio::test]
async fn domain_of_the_site_is_kept() {
    let stand = Stand::start().await;
    stand.github.commit_file(REPOSITORY, BRANCH, "CNAME", b"status.example.com\n");
    stand.publish(&site()).await.unwrap();
    assert_eq!(stand.head().files["CNAME"], b"status.example.com\n");
    assert_eq!(stand.head().files.len(), site().len() + 1);
    assert!(matches!(stand.publish(&site()).await.unwrap(), Published::Unchanged { .. }));
}

#[tokio::test]
async fn branch_that_moves_meanwhile_is_never_forced() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    stand.github.let_others_be_faster(REPOSITORY, 2);
    let later = files(&[("index.html", b"later")]);
    stand.publish(&later).await.unwrap();
    let head = stand.head();
    assert_eq!(head.files, later);
    // What others committed is part of the past, and not lost.
    let message = |commit: &str| stand.github.message(REPOSITORY, commit).unwrap();
    assert_eq!(message(&head.parents[0]), "Add rival-0.txt");
}

#[tokio::test]
async fn branch_that_others_make_first_is_built_upon() {
    let stand = Stand::start().await;
    stand.github.let_others_be_faster(REPOSITORY, 1);
    let published = stand.publish(&site()).await.unwrap();
    assert!(matches!(published, Published::Committed { made_branch: false, .. }), "{published:?}");
    assert_eq!((stand.head().files, stand.head().parents.len()), (site(), 1));
}

#[tokio::test]
async fn branch_that_never_rests_is_given_up() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    stand.github.let_others_be_faster(REPOSITORY, 100);
    let error = stand.publish(&files(&[("index.html", b"later")])).await.unwrap_err();
    assert!(matches!(error, GitHubError::Busy { attempts: 5, .. }), "{error}");
    assert!(stand.head().files.contains_key("metrics/uptime.json"));
}

#[tokio::test]
async fn protected_branch_is_told_apart() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    let first = stand.head();
    stand.github.protect(REPOSITORY, BRANCH);
    let error = stand.publish(&files(&[("index.html", b"later")])).await.unwrap_err();
    assert!(matches!(error, GitHubError::Protected { .. }), "{error}");
    assert_eq!(stand.head(), first);
}

#[tokio::test]
async fn those_without_rights_are_told_what_is_missing() {
    let stand = Stand::start().await;
    stand.github.add_token("reader", Rights::Read);
    stand.github.add_token("stranger", Rights::Nothing);
    stand.github.add_repository("octocat/empty");
    let publish = async |repository: &str, token: &str| {
        let client = stand.client(repository, token);
        let error = client.publish(&branch(), &site(), "Publish").await.unwrap_err();
        assert!(!format!("{error} {error:?} {client:?}").contains(token), "{error:?}");
        error
    };
    assert!(matches!(publish(REPOSITORY, "unknown").await, GitHubError::TokenRefused { .. }));
    assert!(matches!(publish(REPOSITORY, "reader").await, GitHubError::NotPermitted { .. }));
    assert!(matches!(publish(REPOSITORY, "stranger").await, GitHubError::NoRepository { .. }));
    assert!(matches!(publish("octocat/gone", TOKEN).await, GitHubError::NoRepository { .. }));
    assert!(matches!(publish("octocat/empty", TOKEN).await, GitHubError::EmptyRepository { .. }));
    assert!(stand.github.head(REPOSITORY, BRANCH).is_none());
    stand.github.exhaust();
    assert!(matches!(publish(REPOSITORY, TOKEN).await, GitHubError::RateLimited { .. }));
}

#[tokio::test]
async fn large_sites_go_in_parts() {
    let stand = Stand::start().await;
    let page = |number: usize| (format!("docs/{number}.html"), format!("{number}").repeat(900_000).into_bytes());
    let large: BTreeMap<_, _> = (0..9).map(page).collect();
    stand.publish(&large).await.unwrap();
    assert_eq!(stand.head().files, large);
}

#[tokio::test]
async fn empty_directory_takes_nothing_away() {
    let stand = Stand::start().await;
    stand.publish(&site()).await.unwrap();
    assert!(matches!(stand.publish(&BTreeMap::new()).await, Err(GitHubError::Nothing)));
    assert_eq!(stand.head().files, site());
}

/// The name leads nowhere: whoever tried would say that it cannot be resolved.
#[tokio::test]
async fn the_token_goes_to_nobody_in_the_clear() {
    let token = Secret::new(TOKEN);
    let error = GitHub::connect("http://github.invalid", REPOSITORY.parse().unwrap(), &token).unwrap_err();
    assert!(error.to_string().contains("not https"), "{error}");
}

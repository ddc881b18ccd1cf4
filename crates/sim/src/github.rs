//! GitHub's API as far as Git's own data go: `/repos/OWNER/NAME` with `git/blobs`, `git/trees`, `git/commits`, `git/ref`
//! and `git/refs`, and `branches`.
//!
//! Source of the wire format: GitHub's REST reference. Objects have the names that Git gives them, and a branch only
//! moves forward unless it is forced. Callers send `Authorization: Bearer …`. Pull requests, contents, hooks, pages and
//! everything else is left out; so are limits of rate, but for a switch that refuses everything.

mod answer;
mod data;
mod objects;
mod repositories;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse as _, Response};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::answer::{Answer, Refusal};
use self::data::Call;
use self::repositories::Repositories;
pub use self::repositories::{Head, Rights};
use crate::http_server;

/// GitHub refuses larger bodies, too.
const MAX_BODY: usize = 40 << 20;

/// Repositories and who may use them; clones share them.
#[derive(Clone, Default)]
pub struct GitHub {
    state: Arc<Mutex<Repositories>>,
}

impl fmt::Debug for GitHub {
    /// Without tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GitHub")
    }
}

impl GitHub {
    fn with<T>(&self, what: impl FnOnce(&mut Repositories) -> T) -> T {
        what(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a token do this much.
    pub fn add_token(&self, token: &str, rights: Rights) {
        self.with(|state| {
            state.tokens.insert(token.to_owned(), rights);
        });
    }

    /// Makes a repository without any commit, as in `owner/name`.
    pub fn add_repository(&self, name: &str) {
        self.with(|state| {
            state.repositories.entry(name.to_owned()).or_default();
        });
    }

    /// Somebody commits a file to a branch, which is made if need be.
    pub fn commit_file(&self, repository: &str, branch: &str, path: &str, content: &[u8]) {
        self.with(|state| {
            state.repositories.entry(repository.to_owned()).or_default().add_file(branch, path, content);
        });
    }

    /// Lets nobody move a branch any more.
    pub fn protect(&self, repository: &str, branch: &str) {
        self.with(|state| {
            let repository = state.repositories.entry(repository.to_owned()).or_default();
            repository.protected.insert(branch.to_owned());
        });
    }

    /// Lets somebody else commit to a branch right before it is to be moved, so many times.
    pub fn let_others_be_faster(&self, repository: &str, times: u32) {
        self.with(|state| state.repositories.entry(repository.to_owned()).or_default().rivals = times);
    }

    /// From now on every call is one too many.
    pub fn exhaust(&self) {
        self.with(|state| state.exhausted = true);
    }

    /// What a commit says; none when there is no such commit.
    #[must_use]
    pub fn message(&self, repository: &str, commit: &str) -> Option<String> {
        self.with(|state| Some(state.repositories.get(repository)?.commit(commit)?.message.clone()))
    }

    /// A branch as it is; none when there is no such branch.
    #[must_use]
    pub fn head(&self, repository: &str, branch: &str) -> Option<Head> {
        self.with(|state| state.repositories.get(repository)?.head(branch))
    }
}

/// Serves the API until it is told to stop. Open connections are dropped then.
pub async fn serve(listener: TcpListener, github: GitHub, stop: CancellationToken) {
    let handle = move |request| {
        let github = github.clone();
        async move { Ok(handle(&github, request).await) }
    };
    http_server::serve(listener, "GitHub's API", handle, stop).await;
}

async fn handle(github: &GitHub, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Refusal::new(422, "Request body is too large").into_response(),
    };
    let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let answer = github.with(|state| {
        let rights = *state.tokens.get(token).ok_or_else(|| Refusal::new(401, "Bad credentials"))?;
        if state.exhausted {
            return Err(Refusal::rate_limited());
        }
        route(state, rights, parts.uri.path(), &Call { method: &parts.method, body: &body })
    });
    answer.map_or_else(|refusal| refusal.into_response(), |answer| answer.into_response())
}

fn route(state: &mut Repositories, rights: Rights, path: &str, call: &Call<'_>) -> Answer {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["repos", owner, name, rest @ ..] = segments.as_slice() else { return Err(Refusal::not_found()) };
    let full_name = format!("{owner}/{name}");
    let repository = state.repositories.get_mut(&full_name).filter(|_| rights != Rights::Nothing);
    let repository = repository.ok_or_else(Refusal::not_found)?;
    if call.method != Method::GET && rights != Rights::Write {
        return Err(Refusal::new(403, "Resource not accessible by personal access token"));
    }
    match (call.method, rest) {
        (&Method::GET, []) => Ok(data::repository(&full_name)),
        (_, ["git", ..]) if repository.branches.is_empty() => Err(Refusal::new(409, "Git Repository is empty.")),
        (&Method::GET, ["git", "ref", "heads", branch @ ..]) => data::reference(repository, &branch.join("/")),
        (&Method::GET, ["git", "commits", id]) => data::commit(repository, id),
        (&Method::GET, ["git", "trees", id]) => data::tree(repository, id),
        (&Method::POST, ["git", "blobs"]) => data::make_blob(repository, call),
        (&Method::POST, ["git", "trees"]) => data::make_tree(repository, call),
        (&Method::POST, ["git", "commits"]) => data::make_commit(repository, call),
        (&Method::POST, ["git", "refs"]) => data::make_reference(repository, call),
        (&Method::PATCH, ["git", "refs", "heads", branch @ ..]) => {
            data::move_reference(repository, &branch.join("/"), call)
        }
        (&Method::GET, ["branches", branch @ ..]) => data::branch(repository, &branch.join("/")),
        _ => Err(Refusal::not_found()),
    }
}

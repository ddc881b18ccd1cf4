//! Why a command failed: the object, the reason, and what to do. No variant holds a secret.

use std::io;
use std::path::PathBuf;

use helix_clients::git;
use helix_clients::github::GitHubError;
use helix_clients::hetzner::ConnectError;
use helix_clients::kube::TokenError;
use helix_clients::prometheus::TellingError;
use helix_clients::s3::SetUpError;
use helix_engine::seams::{ChartError, CloudError, StoreError};
use helix_engine::secrets::SecretMakerError;
use helix_plan::check::Violation;
use helix_plan::components::Component;
use helix_plan::components::values::UnknownKey;
use helix_plan::gitops::{TreeError, UnreadableMarker};
use helix_plan::observed::Missing;
use helix_plan::policy::Party;
use helix_plan::render::machine_config::RenderError;
use helix_plan::secrets::SecretBundleError;
use helix_plan::validated::{Rejection, Rejections};

use crate::file::Complaint;
use crate::output::called;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("the program cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error("{} cannot be read: {source}", called(path))]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("standard output cannot be written to: {0}")]
    Output(#[source] io::Error),
    #[error("the answer cannot be written as {format}")]
    Format { format: &'static str },

    #[error("{} is not a HelixPlatform:\n{problem}", called(path))]
    Syntax { path: PathBuf, problem: String },
    #[error(
        "{} holds {found}; write one document with apiVersion helix.dev/v1alpha1 and kind HelixPlatform",
        called(path)
    )]
    NoPlatform { path: PathBuf, found: String },
    #[error("{} cannot be acted on:\n{}", called(path), lines(complaints))]
    Refused { path: PathBuf, complaints: Vec<Complaint> },
    #[error("HelixPlatform {namespace}/{name} cannot be acted on:\n{}", lines(rejections.as_slice()))]
    Rejected { namespace: String, name: String, rejections: Rejections },
    #[error(
        "the plan breaks an invariant and would not be carried out; this is a fault in Helix, please report it:\n{}",
        lines(.0)
    )]
    Violations(Vec<Violation>),
    #[error("the plan comes to no end; this is a fault in Helix, please report it with the platform's file")]
    Endless,

    #[error("no management cluster: {0}. Set KUBECONFIG, or choose a context with --context")]
    NoCluster(String),
    #[error("HelixPlatform {namespace}/{name}: {why}")]
    Cluster { namespace: String, name: String, why: String },
    #[error("there is no HelixPlatform {namespace}/{name}. `kubectl get hp -A` shows those that exist")]
    NoSuchPlatform { namespace: String, name: String },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    ObjectStores(#[from] SetUpError),
    #[error("{0}. Name another directory with --cache-dir")]
    Charts(#[from] helix_clients::charts::SetUpError),
    #[error(transparent)]
    Git(#[from] git::SetUpError),
    #[error("{0}")]
    Hetzner(Missing),
    #[error(transparent)]
    Project(#[from] CloudError),

    #[error(transparent)]
    Make(#[from] SecretMakerError),
    #[error("{} was made or changed by somebody else, and is not written over; nothing was written. Take it away, or choose another directory", path.display())]
    Foreign { path: PathBuf },
    #[error("{0}; nothing was written. Choose another directory, or take that file away")]
    Marker(#[from] UnreadableMarker),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("{component}: {source}")]
    Chart { component: Component, source: ChartError },
    #[error("spec.components.{component}.values: {unknown}")]
    UnknownValue { component: Component, unknown: UnknownKey },
    #[error("the platform's components cannot be rendered:\n{}", lines(.0))]
    Layers(Vec<Rejection>),
    #[error("rendering was interrupted")]
    Interrupted,
    #[error("{machine}: {source}")]
    Render { machine: String, source: RenderError },
    #[error("{machine}: a secret is left in the redacted configuration; nothing was written. Please report this")]
    Unredacted { machine: String },

    #[error(
        "policies do not judge what {from} and {to} say to each other: neither is a pod with its own network. Firewalls \
         may: see spec.provider.hetzner.apiAllowlist"
    )]
    NotJudged { from: Party, to: Party },

    #[error("{} holds no token: it is empty", path.display())]
    NoToken { path: PathBuf },
    #[error(transparent)]
    Telling(#[from] TellingError),
    #[error("there is no token for GitHub: set {variable}, or name a file that holds one with --token-file")]
    NoGitHubToken { variable: &'static str },
    #[error("{} is neither a file nor a directory with a name of text; take it away, or publish another directory", path.display())]
    Unpublishable { path: PathBuf },
    #[error(transparent)]
    GitHub(#[from] GitHubError),

    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bundle(#[from] SecretBundleError),
    #[error("{namespace}/{name} has no secret bundle yet: there is nothing to export")]
    NothingToExport { namespace: String, name: String },
    #[error("`{given}` is no age recipient: write a public key that begins with age1, as age-keygen prints it")]
    Recipient { given: String },
    #[error("{} holds no age identity: give the file that age-keygen wrote (AGE-SECRET-KEY-…)", called(path))]
    Identity { path: PathBuf },
    #[error("the secrets cannot be encrypted: {0}")]
    Encrypt(String),
    #[error(
        "{} cannot be decrypted: {why}. Is this the identity of a recipient that it was exported to?",
        called(path)
    )]
    Decrypt { path: PathBuf, why: String },
    #[error("{} is no export of `helix secrets export`", called(path))]
    NoExport { path: PathBuf },
    #[error("{} was exported from HelixPlatform {exported}, not from {platform}; nothing was changed", called(path))]
    OtherPlatform { path: PathBuf, exported: String, platform: String },
    #[error(
        "another {what} is stored for {platform} already, and nothing is ever overwritten; nothing was changed. If the \
         stored one is wrong, find out where it came from before you delete it by hand"
    )]
    Differs { what: &'static str, platform: String },
}

/// One line for each, indented.
fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("  - {item}")).collect::<Vec<_>>().join("\n")
}

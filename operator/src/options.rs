//! The command line. No option holds a secret: arguments show in every process list.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use helix_clients::mirrors::Mirror;
use helix_engine::sweep::SweepMode;

/// Watches HelixPlatforms and builds, repairs and removes what they describe.
///
/// The management cluster is the one of KUBECONFIG, or the one that the operator runs in.
#[derive(Clone, Debug, Parser)]
#[command(name = "helix-operator", version)]
pub struct Options {
    /// Address for /healthz, /readyz and /metrics; with port 0 a free one is taken
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// File that gets the address that is listened on, once it is
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,

    /// How log lines are written to standard error; RUST_LOG says which
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// Watch this namespace only [default: all]
    #[arg(long)]
    pub namespace: Option<String>,

    /// Passes that run at the same time, over all platforms
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,

    /// Passes that run at the same time for platforms of one token
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency_per_token: u16,

    /// What to do about resources at the provider whose platform is gone: tell of them, or delete those that were made from
    /// this management cluster (never volumes and load balancers)
    #[arg(long, value_enum, default_value_t = Sweep::Report)]
    pub sweep: Sweep,

    /// Helm 4, which renders charts: a path, or a name that is looked up in PATH
    #[arg(long, env = "HELM", default_value = "helm", value_name = "PROGRAM")]
    pub helm: PathBuf,

    /// Where what is at a public origin is fetched instead: ORIGIN=URL, as in
    /// https://charts.example.com=https://mirror.example.com/charts, or *=URL for any origin, whose host is then the first
    /// part of the path. May be given several times
    #[arg(long = "mirror", value_name = "ORIGIN=URL")]
    pub mirrors: Vec<Mirror>,

    /// Directory in which charts and what they render to are kept [default: one that goes with the process]
    #[arg(long, value_name = "DIR")]
    pub chart_cache: Option<PathBuf>,

    /// Directory in which Git repositories are kept that trees are published to [default: one that goes with the process]
    #[arg(long, value_name = "DIR")]
    pub git_dir: Option<PathBuf>,

    /// Work only while holding the Lease `helix-operator`, so that replicas can stand by
    #[arg(long)]
    pub leader_elect: bool,

    /// Namespace of the Lease [default: the operator's own]
    #[arg(long)]
    pub lease_namespace: Option<String>,

    /// Seconds after which a leader that does not renew its Lease is replaced
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=3600))]
    pub lease_seconds: u16,

    /// Name of this process among its replicas; two must never share one
    #[arg(long, default_value_t = identity(), hide_default_value = true)]
    pub identity: String,
}

/// What is done about orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sweep {
    /// Tell of them.
    Report,
    /// Delete those that are proved to be ours.
    Delete,
}

impl From<Sweep> for SweepMode {
    fn from(sweep: Sweep) -> Self {
        match sweep {
            Sweep::Report => Self::Report,
            Sweep::Delete => Self::Delete,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// A pod's name is unique among replicas; elsewhere the process id tells apart what shares a host.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "helix-operator".to_owned());
    format!("{host}_{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_serves_all_namespaces_alone() {
        let options = Options::parse_from(["helix-operator"]);
        assert_eq!(options.listen, SocketAddr::from(([0, 0, 0, 0], 8080)));
        assert_eq!((options.namespace, options.leader_elect), (None, false));
        assert_eq!(options.sweep, Sweep::Report, "nothing is deleted unasked");
    }
}

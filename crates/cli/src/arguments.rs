//! The command line: commands, flags and their help. Nothing is done here.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use helix_clients::github::{BranchName, GITHUB, RepositoryName};
use helix_clients::mirrors::Mirror;
use helix_plan::policy::{Party, Port};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "helix",
    version,
    about = "Plans, explains, renders and draws Helix platforms. Nothing but `secrets import` and `publish-status` changes anything.",
    after_help = "Exit codes: 0 no changes, 2 changes, 1 error, 64 wrong usage; `policy check`: 0 allowed, 3 denied; `badges`: 4 \
                  written, but something that was asked for is unknown or stale."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show everything that would be done, in order, with its cost
    Plan(PlanArguments),
    /// Say what a platform is waiting for, phase by phase
    Explain(ExplainArguments),
    /// List what is left, in the project of a platform's token, of platforms that are gone
    Orphans(OrphansArguments),
    /// Write every machine configuration, Hetzner resource and network policy of a platform, as from nothing; or what Argo CD syncs
    Render(RenderArguments),
    /// Draw a platform as a Mermaid flowchart: its network and its phases, coloured by what was seen where that is asked for
    Diagram(DiagramArguments),
    /// Say who may talk to whom in a platform's cluster, and why; from its file alone
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Observe a platform, and write status badges (Shields endpoint JSON), their history and STATUS.md
    Badges(BadgesArguments),
    /// Commit a directory, such as the status site, to a branch of a repository at GitHub
    PublishStatus(PublishStatusArguments),
    /// Take the secrets of a platform out of its management cluster, and bring them back
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print every flow that is allowed, with its reason; everything else is denied
    Matrix(MatrixArguments),
    /// Say whether one may call another on a port, because of what, or what would allow it
    Check(CheckArguments),
    /// Print Cilium's policies, one YAML document each
    Render(PoliciesArguments),
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArguments {
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// How the flows are written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "FROM and TO are one of\n  \
    shop/  shop/app=web,tier=front   pods of a namespace, by all labels that matter\n  \
    node  own-node  apiserver        a machine, the one on which the pod runs, one with the Kubernetes API\n  \
    198.51.100.7  198.51.100.0/24    addresses outside the cluster; a range stands for all of its addresses\n  \
    internet                         addresses of which no narrower range speaks\n  \
    api.stripe.com                   a name outside the cluster, as TO\n\n\
    Exit codes: 0 allowed, 3 denied, 1 error or nothing that policies judge, 64 wrong usage.")]
pub(crate) struct CheckArguments {
    /// Who calls
    pub(crate) from: Party,
    /// Who is called
    pub(crate) to: Party,
    /// The port on which the called one listens, as in 443 or 53/UDP
    pub(crate) port: Port,
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct PoliciesArguments {
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Write secret bundle and bootstrap record, encrypted with age
    Export(ExportArguments),
    /// Put an export back where nothing is stored; nothing is ever overwritten
    Import(ImportArguments),
}

/// Which management cluster, and which platform there.
#[derive(Debug, Args)]
pub(crate) struct ClusterArguments {
    /// Namespace of the platform [default: the context's]
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig [default: the current one]
    #[arg(long)]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("platform").required(true).args(["file", "name"])))]
pub(crate) struct PlanArguments {
    /// Name of a platform in the management cluster
    pub(crate) name: Option<String>,
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Plan the file against what exists, seen with the token of the platform's Secret; without it, from nothing
    #[arg(long, requires = "file")]
    pub(crate) live: bool,
    /// How the plan is written
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) rendering: RenderingArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("platform").required(true).args(["file", "name"])))]
pub(crate) struct ExplainArguments {
    /// Name of a platform in the management cluster
    pub(crate) name: Option<String>,
    /// File with a HelixPlatform, or - for standard input; it is explained as from nothing
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("platform").required(true).args(["file", "name"])))]
pub(crate) struct DiagramArguments {
    /// Name of a platform in the management cluster; it is coloured by what the operator saw of it
    pub(crate) name: Option<String>,
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: Option<PathBuf>,
    /// Colour the file's platform by what the operator saw of the one of its name in the management cluster
    #[arg(long, requires = "file")]
    pub(crate) live: bool,
    /// Which part is drawn
    #[arg(long, value_enum, default_value_t = DiagramView::All)]
    pub(crate) view: DiagramView,
    /// File to write to, in place of an earlier one [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// Which part of a platform is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiagramView {
    /// Machines, network, load balancers, domains and mesh
    Network,
    /// The phases with what they make
    Phases,
    /// Both in one picture
    All,
}

#[derive(Debug, Args)]
pub(crate) struct OrphansArguments {
    /// Name of a platform in the management cluster
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["out", "gitops"])))]
pub(crate) struct RenderArguments {
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// Directory to write machine configurations and resources to; it is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Directory to write what Argo CD is to sync to, as the operator publishes it; what others have in it stays as it is
    #[arg(long, value_name = "DIR")]
    pub(crate) gitops: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) charts: ChartArguments,
    /// Leave the secrets of the (throw-away) bundle in; files are then for their owner only
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Where charts come from, and what renders them.
#[derive(Debug, Args)]
pub(crate) struct ChartArguments {
    /// Where a repository is reached instead, as in https://charts.example.com=https://mirror.example.com/charts; * stands
    /// for any; may be given several times
    #[arg(long, value_name = "ORIGIN=URL", requires = "gitops")]
    pub(crate) mirror: Vec<Mirror>,
    #[command(flatten)]
    pub(crate) rendering: RenderingArguments,
}

/// What renders charts, and where it is kept what they render to.
#[derive(Debug, Args)]
pub(crate) struct RenderingArguments {
    /// Helm 4: a path, or a name that is looked up in PATH
    #[arg(long, value_name = "PROGRAM", default_value = "helm")]
    pub(crate) helm: PathBuf,
    /// Directory in which charts and what they render to are kept [default: helix/charts in XDG_CACHE_HOME, or in ~/.cache]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Tokens are no arguments: HELIX_PROMETHEUS_TOKEN and HELIX_GRAFANA_TOKEN hold them, or the files of \
    --prometheus-token-file and --grafana-token-file.\nWhat is not asked for is unknown. Exit codes: 0 all that was asked \
    is known, 4 not all, 1 nothing was written, 64 wrong usage."
)]
pub(crate) struct BadgesArguments {
    /// Name of a platform in the management cluster: for its phases, machines, cost, cluster, mesh and events
    pub(crate) name: Option<String>,
    /// Directory to write <badge>.json, history.jsonl, incidents.jsonl and about.json to; it is made if need be
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// File to write the status page to, as in STATUS.md
    #[arg(long, value_name = "FILE")]
    pub(crate) status: Option<PathBuf>,
    /// What readers have to know first, such as that it is about a sandbox
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Prometheus
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
    /// File with a token for Prometheus
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub(crate) prometheus_token_file: Option<PathBuf>,
    /// Grafana
    #[arg(long, value_name = "URL")]
    pub(crate) grafana: Option<String>,
    /// File with a token for Grafana
    #[arg(long, value_name = "FILE", requires = "grafana")]
    pub(crate) grafana_token_file: Option<PathBuf>,
    /// Directory with what continuous integration wrote: build.json, trivy*.json, sbom*.json, cosign*.json
    #[arg(long, value_name = "DIR")]
    pub(crate) reports: Option<PathBuf>,
    /// The way into the platform's cluster [default: the kubeconfig that Helix keeps for it]
    #[arg(long, value_name = "FILE", requires = "name")]
    pub(crate) workload_kubeconfig: Option<PathBuf>,
    /// Where NetBird's management service is reached instead, as in https://api.netbird.io=https://mirror.example.com
    #[arg(long, value_name = "ORIGIN=URL", requires = "name")]
    pub(crate) mirror: Vec<Mirror>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The token is read from the environment variable HELIX_GITHUB_TOKEN, or from a file. It needs to read and \
    write the contents of the repository.\n\n\
    The branch holds the directory and nothing else afterwards, but for a file CNAME. It is never forced: where others have \
    moved it, the directory goes on top. Nothing is committed when nothing changed."
)]
pub(crate) struct PublishStatusArguments {
    /// Directory whose files are published
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Repository to commit to
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) repository: RepositoryName,
    /// Branch to commit to; it is made if need be
    #[arg(long, value_name = "BRANCH", default_value = "gh-pages")]
    pub(crate) branch: BranchName,
    /// Address of GitHub's API, as in https://github.example.com/api/v3
    #[arg(long, value_name = "URL", default_value = GITHUB)]
    pub(crate) github_url: String,
    /// File with the token [default: HELIX_GITHUB_TOKEN of the environment]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Name of the platform
    pub(crate) name: String,
    /// Age recipient that may read it, as in age1…; may be given several times
    #[arg(long, value_name = "RECIPIENT", required = true)]
    pub(crate) to: Vec<String>,
    /// File to write to, which must not exist [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// Name of the platform
    pub(crate) name: String,
    /// The export, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// File with the age identity that may read it (AGE-SECRET-KEY-…)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

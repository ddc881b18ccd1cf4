//! The command line: commands, flags and their help. Nothing is done here.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "helix",
    version,
    about = "Plans, explains and renders Helix platforms. Nothing but `secrets import` changes anything.",
    after_help = "Exit codes: 0 no changes, 2 changes, 1 error, 64 wrong usage."
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
    /// Write every machine configuration and every Hetzner resource of a platform, as from nothing
    Render(RenderArguments),
    /// Take the secrets of a platform out of its management cluster, and bring them back
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
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
    pub(crate) cluster: ClusterArguments,
}

/// How a plan is written.
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
pub(crate) struct OrphansArguments {
    /// Name of a platform in the management cluster
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    /// File with a HelixPlatform, or - for standard input
    #[arg(short, long)]
    pub(crate) file: PathBuf,
    /// Directory to write to; it is made if need be
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Leave the secrets of the (throw-away) bundle in; files are then for their owner only
    #[arg(long)]
    pub(crate) show_secrets: bool,
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

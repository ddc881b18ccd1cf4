//! `cargo xtask tools`: what tests and the sandbox run besides the project's own programs, built once and found again.
//!
//! Those are `tools/kube`, the control plane that everything runs on, `tools/helm`, which renders charts, `tools/argocd`,
//! which judges what is published to a repository, and `tools/policycheck`, which judges network policies (see
//! [`go_program`]). The first lies in `target/tools/kube-<version>-<digest>/kube`, where the digest is of all that it is
//! built from, so a change builds anew and a switch back finds the earlier build. With `KUBEBUILDER_ASSETS` set, a
//! launcher of the same name and the same command line starts the programs of that directory instead; those that it
//! lacks are built.
//!
//! Old builds are left where they are: a sandbox may still run from one. `cargo clean` removes them.

pub(crate) mod debian;
mod go_program;
mod launcher;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};

use go_program::GoProgram;

use crate::error::Error;
use crate::process;
use crate::repository::Repository;

/// The part of Argo CD that syncs.
const ARGOCD: GoProgram = GoProgram {
    module: "tools/argocd",
    package: ".",
    name: "argocd",
    requirement: "github.com/argoproj/argo-cd/v3",
    stamped: &["github.com/argoproj/argo-cd/v3/common.version="],
};

/// What renders charts. Its module has no code of its own: it pins Helm and all that Helm is made of.
const HELM: GoProgram = GoProgram {
    module: "tools/helm",
    package: "helm.sh/helm/v4/cmd/helm",
    name: "helm",
    requirement: "helm.sh/helm/v4",
    // Released programs say all of their version; one that is built from its sources says two numbers of it.
    stamped: &["helm.sh/helm/v4/internal/version.version=v"],
};

/// Cilium's policy engine, which judges what Helix writes.
const POLICYCHECK: GoProgram = GoProgram {
    module: "tools/policycheck",
    package: ".",
    name: "policycheck",
    requirement: "github.com/cilium/cilium",
    stamped: &[],
};

/// The environment variable in which setup-envtest and Kubebuilder name a directory of ready-made programs.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The folder of the Go module.
const MODULE: &str = "tools/kube";

/// Which of the module's two sets of requirements is built: the sources are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// What everything runs with.
    Current,
    /// The minor version of Kubernetes before, from which tests upgrade.
    Previous,
}

impl Release {
    /// The file that names the requirements; their checksums are beside it.
    fn requirements(self) -> &'static str {
        match self {
            Self::Current => "go.mod",
            Self::Previous => "go-1.35.mod",
        }
    }

    fn checksums(self) -> &'static str {
        match self {
            Self::Current => "go.sum",
            Self::Previous => "go-1.35.sum",
        }
    }
}

/// The module whose version is the version of Kubernetes.
const KUBERNETES: &str = "k8s.io/kubernetes";

/// What `go build` is told besides the version: part of the digest. No symbols and no local paths in the program, and
/// no need for a C compiler.
const BUILD: &[&str] = &["build", "-trimpath", "-buildvcs=false", "-mod=readonly"];

/// The programs that `kube` is, by its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubectl,
}

impl Program {
    const ALL: [Self; 5] =
        [Self::Etcd, Self::KubeApiserver, Self::KubeControllerManager, Self::KubeScheduler, Self::Kubectl];

    fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
        }
    }
}

/// A Kubernetes control plane, ready to be started.
pub(crate) struct KubeTools {
    directory: PathBuf,
}

impl KubeTools {
    /// Those of a directory that holds the program `kube`.
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory that holds the program `kube`.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The command that runs one of the programs; add its arguments.
    pub(crate) fn command(&self, program: Program) -> Command {
        let mut command = Command::new(self.directory.join("kube"));
        command.arg(program.name());
        command
    }
}

/// Arguments of `cargo xtask tools`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Build Kubernetes of the minor version before instead, which only tests of its upgrade run
    #[arg(long)]
    previous: bool,
    /// Build Cilium's policy engine instead, which only a test asks
    #[arg(long, conflicts_with = "previous")]
    policycheck: bool,
}

/// `cargo xtask tools`.
///
/// # Errors
/// As [`kube`].
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    if arguments.previous {
        println!("{}", previous_kube(repository)?.directory().display());
        return Ok(());
    }
    if arguments.policycheck {
        println!("{}", policycheck(repository)?.display());
        return Ok(());
    }
    println!("{}", kube(repository)?.directory().display());
    println!("{}", helm(repository)?.display());
    Ok(())
}

/// The Kubernetes programs of the minor version before, found or built.
///
/// # Errors
/// Without Go, with a failing build, or when files can't be written.
pub(crate) fn previous_kube(repository: &Repository) -> Result<KubeTools, Error> {
    let tools = repository.metadata()?.target_directory()?.join("tools");
    fs::create_dir_all(&tools).map_err(Error::file("create", &tools))?;
    let _lock = lock(&tools)?;
    Build::of(repository, Release::Previous)?.find_or_make(&tools)
}

/// Finds the Kubernetes programs, or builds them, which takes minutes the first time. Two that build at once don't
/// disturb each other: the second waits and finds what the first has built.
///
/// # Errors
/// Without Go, with a failing build, or when files can't be written.
pub(crate) fn kube(repository: &Repository) -> Result<KubeTools, Error> {
    let tools = repository.metadata()?.target_directory()?.join("tools");
    fs::create_dir_all(&tools).map_err(Error::file("create", &tools))?;
    let _lock = lock(&tools)?;
    let Some(assets) = std::env::var_os(ASSETS).map(PathBuf::from) else {
        return Build::of(repository, Release::Current)?.find_or_make(&tools);
    };
    let lacking = Program::ALL.iter().filter(|program| !assets.join(program.name()).is_file()).count();
    if lacking == Program::ALL.len() {
        let problem = format!("{ASSETS} names it, but none of the programs is there; correct or unset {ASSETS}");
        return Err(Error::Content { path: assets, problem });
    }
    let built = if lacking > 0 { Some(Build::of(repository, Release::Current)?.find_or_make(&tools)?) } else { None };
    launcher::write(&tools, &assets, built.as_ref())
}

/// Finds Argo CD's controller and repo server, which are one program, or builds it, which takes minutes the first time.
///
/// # Errors
/// As [`kube`].
pub(crate) fn argocd(repository: &Repository) -> Result<PathBuf, Error> {
    find_or_make(&ARGOCD, repository)
}

/// Finds Helm, or builds it, which takes minutes the first time.
///
/// # Errors
/// As [`kube`].
pub(crate) fn helm(repository: &Repository) -> Result<PathBuf, Error> {
    find_or_make(&HELM, repository)
}

/// Finds Cilium's policy engine, or builds it, which takes minutes the first time.
///
/// # Errors
/// As [`kube`].
pub(crate) fn policycheck(repository: &Repository) -> Result<PathBuf, Error> {
    find_or_make(&POLICYCHECK, repository)
}

fn find_or_make(program: &GoProgram, repository: &Repository) -> Result<PathBuf, Error> {
    let tools = repository.metadata()?.target_directory()?.join("tools");
    fs::create_dir_all(&tools).map_err(Error::file("create", &tools))?;
    let _lock = lock(&tools)?;
    program.find_or_make(repository, &tools)
}

/// Holds until dropped, against others that build; says so when it has to wait.
fn lock(tools: &Path) -> Result<File, Error> {
    let path = tools.join(".lock");
    let file = File::create(&path).map_err(Error::file("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("==> waiting for another build of the tools");
            file.lock().map_err(Error::file("lock", &path))?;
            Ok(file)
        }
        Err(TryLockError::Error(source)) => Err(Error::File { action: "lock", path, source }),
    }
}

/// How `tools/kube` is built from the checkout.
struct Build {
    module: PathBuf,
    release: Release,
    version: String,
    linker_flags: String,
    digest: String,
}

impl Build {
    fn of(repository: &Repository, release: Release) -> Result<Self, Error> {
        let module = repository.path(MODULE);
        let go_mod = repository.read(&format!("{MODULE}/{}", release.requirements()))?;
        let version = required_version(&go_mod, KUBERNETES).ok_or_else(|| Error::Content {
            path: module.join(release.requirements()),
            problem: format!("it requires no {KUBERNETES}; write `require {KUBERNETES} v1.x.y`"),
        })?;
        let linker_flags = linker_flags(&version);
        let digest = digest(&module, [release.requirements(), release.checksums()], &linker_flags)?;
        Ok(Self { module, release, version, linker_flags, digest })
    }

    fn find_or_make(&self, tools: &Path) -> Result<KubeTools, Error> {
        let directory = tools.join(format!("kube-{}-{}", self.version, self.digest));
        if !directory.join("kube").is_file() {
            self.make(tools, &directory)?;
        }
        Ok(KubeTools { directory })
    }

    /// Builds beside, checks, and only then moves to where it will be found: an interrupted build is never found.
    fn make(&self, tools: &Path, directory: &Path) -> Result<(), Error> {
        let building = KubeTools { directory: tools.join("building") };
        match fs::remove_dir_all(&building.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &building.directory)(error));
            }
            Ok(()) | Err(_) => {}
        }
        eprintln!("==> building Kubernetes {} and etcd from {MODULE}; minutes the first time, then kept", self.version);
        let started = Instant::now();
        let mut go = Command::new("go");
        go.args(BUILD)
            .arg(format!("-modfile={}", self.release.requirements()))
            .arg(format!("-ldflags={}", self.linker_flags))
            .arg("-o")
            .arg(building.directory.join("kube"));
        go.arg(".").current_dir(&self.module).env("CGO_ENABLED", "0").env("GOWORK", "off");
        process::run(&mut go)?;
        self.check_version(&building)?;
        fs::rename(&building.directory, directory).map_err(Error::file("create", directory))?;
        let program = directory.join("kube");
        let size = fs::metadata(&program).map_err(Error::file("read", &program))?.len();
        eprintln!("    {:.0} s, {} MB", started.elapsed().as_secs_f64(), size / 1_000_000);
        Ok(())
    }

    /// The linker ignores names that do not exist: a renamed variable would go unnoticed without this.
    fn check_version(&self, tools: &KubeTools) -> Result<(), Error> {
        let mut kubectl = tools.command(Program::Kubectl);
        let reported = process::json(kubectl.args(["version", "--client", "--output=json"]))?;
        if reported["clientVersion"]["gitVersion"] == self.version.as_str() {
            return Ok(());
        }
        Err(Error::Answer {
            command: "kube kubectl version --client".to_owned(),
            problem: format!(
                "it reports {} instead of {}; mend the linker flags in xtask/src/tools.rs",
                reported["clientVersion"]["gitVersion"], self.version
            ),
        })
    }
}

/// The version that a go.mod requires of a module.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next().map(str::to_owned))?
    })
}

/// Strips the program and stamps the version, without which the API server reports v0.0.0-master.
fn linker_flags(version: &str) -> String {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = "-s -w".to_owned();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (variable, value) in [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)] {
            flags += &format!(" -X {package}.{variable}={value}");
        }
    }
    flags
}

/// The first 12 hex digits of a SHA-256 over all that decides what is built: the module's files, names included, and
/// how it is built.
fn digest(module: &Path, requirements: [&str; 2], linker_flags: &str) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for part in BUILD.iter().copied().chain([linker_flags]) {
        hash_part(&mut hash, part.as_bytes());
    }
    for path in sources(module, requirements)? {
        hash_part(&mut hash, path.strip_prefix(module).unwrap_or(&path).as_os_str().as_encoded_bytes());
        hash_part(&mut hash, &fs::read(&path).map_err(Error::file("read", &path))?);
    }
    Ok(short_hex(hash))
}

/// Parts carry their length, so that no two lists of parts read the same.
fn hash_part(hash: &mut Sha256, part: &[u8]) {
    hash.update(part.len().to_le_bytes());
    hash.update(part);
}

fn short_hex(hash: Sha256) -> String {
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The Go files of the module and the two that say what it requires, sorted.
fn sources(module: &Path, requirements: [&str; 2]) -> Result<BTreeSet<PathBuf>, Error> {
    let mut sources = BTreeSet::new();
    for entry in fs::read_dir(module).map_err(Error::file("list", module))? {
        let path = entry.map_err(Error::file("list", module))?.path();
        let required = requirements.iter().any(|name| path.ends_with(name));
        if required || path.extension().is_some_and(|extension| extension == "go") {
            sources.insert(path);
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_either_form_of_require() {
        let block = "module x\n\nrequire (\n\tk8s.io/kubectl v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n";
        assert_eq!(required_version(block, KUBERNETES).as_deref(), Some("v1.36.3"));
        assert_eq!(required_version("require k8s.io/kubernetes v1.35.2\n", KUBERNETES).as_deref(), Some("v1.35.2"));
        assert_eq!(required_version("require k8s.io/kubectl v0.36.3\n", KUBERNETES), None);
    }

    #[test]
    fn version_is_stamped_in_both_packages() {
        let flags = linker_flags("v1.36.3");
        for flag in [
            "-X k8s.io/component-base/version.gitVersion=v1.36.3",
            "-X k8s.io/component-base/version.gitMinor=36",
            "-X k8s.io/client-go/pkg/version.gitMajor=1",
        ] {
            assert!(flags.contains(flag), "{flags}");
        }
    }

    #[test]
    fn digest_changes_with_content_name_and_flags_only() {
        let module = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| fs::write(module.path().join(name), content).unwrap();
        file("go.mod", "module x");
        file("main.go", "package main");
        let required = [Release::Current.requirements(), Release::Current.checksums()];
        let first = digest(module.path(), required, "-s").unwrap();
        file("README.md", "no source");
        file("go-1.35.mod", "module x of another release");
        assert_eq!(digest(module.path(), required, "-s").unwrap(), first);
        assert_ne!(digest(module.path(), required, "-w").unwrap(), first);
        file("main.go", "package other");
        assert_ne!(digest(module.path(), required, "-s").unwrap(), first);
        file("main.go", "package main");
        fs::rename(module.path().join("main.go"), module.path().join("kube.go")).unwrap();
        assert_ne!(digest(module.path(), required, "-s").unwrap(), first);
    }
}

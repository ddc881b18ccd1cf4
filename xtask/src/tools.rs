//! `cargo xtask tools`: what tests and the sandbox run besides the project's own programs, built once and found again.
//!
//! For now that is `tools/kube`. It lies in `target/tools/kube-<version>-<digest>/kube`, where the digest is of all
//! that it is built from, so a change builds anew and a switch back finds the earlier build. With `KUBEBUILDER_ASSETS`
//! set, a launcher of the same name and the same command line starts the programs of that directory instead; those
//! that it lacks are built.
//!
//! Old builds are left where they are: a sandbox may still run from one. `cargo clean` removes them.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::process;
use crate::repository::Repository;

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
}

/// `cargo xtask tools`.
///
/// # Errors
/// As [`kube`].
pub(crate) fn run(repository: &Repository, arguments: &Arguments) -> Result<(), Error> {
    let tools = if arguments.previous { previous_kube(repository)? } else { kube(repository)? };
    println!("{}", tools.directory().display());
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
    launcher(&tools, &assets, built.as_ref())
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
        let version = kubernetes_version(&go_mod).ok_or_else(|| Error::Content {
            path: module.join(release.requirements()),
            problem: format!("it requires no {KUBERNETES}; write `require {KUBERNETES} v1.x.y`"),
        })?;
        let linker_flags = linker_flags(&version);
        let digest = digest(&module, release, &linker_flags)?;
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

/// The version that a go.mod requires of Kubernetes.
fn kubernetes_version(go_mod: &str) -> Option<String> {
    go_mod.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(KUBERNETES)).then(|| words.next().map(str::to_owned))?
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
fn digest(module: &Path, release: Release, linker_flags: &str) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for part in BUILD.iter().copied().chain([linker_flags]) {
        hash_part(&mut hash, part.as_bytes());
    }
    for path in sources(module, release)? {
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

/// The Go files of the module and what a release requires, sorted.
fn sources(module: &Path, release: Release) -> Result<BTreeSet<PathBuf>, Error> {
    let mut sources = BTreeSet::new();
    for entry in fs::read_dir(module).map_err(Error::file("list", module))? {
        let path = entry.map_err(Error::file("list", module))?.path();
        let required = [release.requirements(), release.checksums()].iter().any(|name| path.ends_with(name));
        if required || path.extension().is_some_and(|extension| extension == "go") {
            sources.insert(path);
        }
    }
    Ok(sources)
}

/// A `kube` that starts the programs of `assets`, and those which are not there from what was built.
fn launcher(tools: &Path, assets: &Path, built: Option<&KubeTools>) -> Result<KubeTools, Error> {
    let script = launcher_script(assets, built.map(KubeTools::directory));
    let mut hash = Sha256::new();
    hash_part(&mut hash, script.as_bytes());
    let directory = tools.join(format!("kube-assets-{}", short_hex(hash)));
    fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    let path = directory.join("kube");
    // Under another name until it is complete: an earlier one may be starting a program right now.
    let new = directory.join("kube.new");
    fs::write(&new, script).map_err(Error::file("write", &new))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(Error::file("write", &new))?;
    fs::rename(&new, &path).map_err(Error::file("write", &path))?;
    Ok(KubeTools { directory })
}

/// `exec` keeps the process id: who started `kube` has started the program, and signals reach it.
fn launcher_script(assets: &Path, built: Option<&Path>) -> String {
    let assets = shell_quoted(assets);
    let mut script = format!(
        "#!/bin/sh\n# Written by `cargo xtask tools` because {ASSETS} is set.\n\
         program=$1\nshift\n\
         if [ -x {assets}/\"$program\" ]; then exec {assets}/\"$program\" \"$@\"; fi\n"
    );
    match built {
        Some(built) => script += &format!("exec {}/kube \"$program\" \"$@\"\n", shell_quoted(built)),
        None => script += "echo \"kube: unknown program $program\" >&2\nexit 64\n",
    }
    script
}

fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_either_form_of_require() {
        let block = "module x\n\nrequire (\n\tk8s.io/kubectl v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n";
        assert_eq!(kubernetes_version(block).as_deref(), Some("v1.36.3"));
        assert_eq!(kubernetes_version("require k8s.io/kubernetes v1.35.2\n").as_deref(), Some("v1.35.2"));
        assert_eq!(kubernetes_version("require k8s.io/kubectl v0.36.3\n"), None);
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
        let first = digest(module.path(), Release::Current, "-s").unwrap();
        file("README.md", "no source");
        file("go-1.35.mod", "module x of another release");
        assert_eq!(digest(module.path(), Release::Current, "-s").unwrap(), first);
        assert_ne!(digest(module.path(), Release::Current, "-w").unwrap(), first);
        file("main.go", "package other");
        assert_ne!(digest(module.path(), Release::Current, "-s").unwrap(), first);
        file("main.go", "package main");
        fs::rename(module.path().join("main.go"), module.path().join("kube.go")).unwrap();
        assert_ne!(digest(module.path(), Release::Current, "-s").unwrap(), first);
    }

    #[test]
    fn launcher_prefers_the_assets_and_falls_back_to_what_was_built() {
        let root = tempfile::tempdir().unwrap();
        let assets = root.path().join("it's here");
        let built = KubeTools { directory: root.path().join("built") };
        let script = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        script(assets.join("etcd"), r#"echo assets "$@""#);
        script(built.directory.join("kube"), r#"echo built "$@""#);
        let both = launcher(root.path(), &assets, Some(&built)).unwrap();
        assert_eq!(process::answer(both.command(Program::Etcd).arg("--name=a b")).unwrap(), "assets --name=a b\n");
        assert_eq!(process::answer(both.command(Program::Kubectl).arg("get")).unwrap(), "built kubectl get\n");
        let alone = launcher(root.path(), &assets, None).unwrap();
        assert_eq!(process::answer(&mut alone.command(Program::Etcd)).unwrap(), "assets\n");
        assert!(process::answer(&mut alone.command(Program::Kubectl)).is_err());
    }
}

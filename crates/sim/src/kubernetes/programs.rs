//! The programs that are etcd and Kubernetes by their first argument: one for each version that machines may run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::process::Command;

/// A program and the version of Kubernetes that it is.
#[derive(Clone, Debug)]
struct Versioned {
    path: Arc<Path>,
    version: String,
}

/// All of them; at least one.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    first: Versioned,
    others: Arc<[Versioned]>,
}

impl Programs {
    /// Those at these paths.
    ///
    /// # Errors
    /// Where there is none, or one does not tell its version.
    pub(super) async fn at(paths: &[PathBuf]) -> io::Result<Self> {
        let mut all = Vec::new();
        for path in paths {
            let path: Arc<Path> = std::path::absolute(path)?.into();
            all.push(Versioned { version: version_of(&path).await?, path });
        }
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no program that is etcd and Kubernetes is named");
        let mut all = all.into_iter();
        let first = all.next().ok_or_else(missing)?;
        Ok(Self { first, others: all.collect() })
    }

    /// The one for what has no version of Kubernetes, as etcd has none.
    pub(super) fn any(&self) -> &Path {
        &self.first.path
    }

    /// The one of this version; else one of the same minor version; else the first. What is not there is told plainly.
    pub(super) fn of(&self, wanted: &str) -> &Path {
        let found = self.nearest(wanted);
        if found.version != wanted {
            tracing::warn!(
                "no program is Kubernetes {wanted}: {} runs in its place, and says so where it is asked; name a program \
                 of {wanted} with --kube",
                found.version
            );
        }
        &found.path
    }

    fn nearest(&self, wanted: &str) -> &Versioned {
        let find = |matches: &dyn Fn(&str) -> bool| {
            std::iter::once(&self.first).chain(self.others.iter()).find(|it| matches(&it.version))
        };
        let exact = find(&|it| it == wanted);
        exact.or_else(|| find(&|it| minor(it).is_some() && minor(it) == minor(wanted))).unwrap_or(&self.first)
    }
}

/// The major and minor part of a version.
fn minor(version: &str) -> Option<&str> {
    version.rsplit_once('.').map(|(minor, _)| minor)
}

async fn version_of(program: &Path) -> io::Result<String> {
    let output = Command::new(program).args(["kubectl", "version", "--client", "--output=json"]).output().await?;
    let told: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let version = told.as_ref().and_then(|told| told.pointer("/clientVersion/gitVersion")).and_then(Value::as_str);
    let unreadable = || io::Error::other(format!("{} does not tell its version", program.display()));
    version.map(str::to_owned).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_version_is_taken() {
        let one = |path: &str, version: &str| Versioned { path: Path::new(path).into(), version: version.to_owned() };
        let programs = Programs { first: one("new", "v1.36.3"), others: [one("old", "v1.35.4")].into() };
        assert_eq!(programs.of("v1.35.4"), Path::new("old"));
        assert_eq!(programs.of("v1.35.1"), Path::new("old"));
        assert_eq!(programs.of("v1.34.9"), Path::new("new"));
        assert_eq!(programs.any(), Path::new("new"));
    }
}

//! The programs that are etcd and Kubernetes by their first argument: one for each version that machines may run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::process::Command;

/// A program and the version that it is of, where more than one is there.
#[derive(Clone, Debug)]
struct Versioned {
    path: Arc<Path>,
    version: String,
}

/// All of them. The first is for whatever none of the others is.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    first: Arc<Path>,
    versions: Arc<[Versioned]>,
}

impl Programs {
    /// Those at these paths. A single one is not asked for its version.
    ///
    /// # Errors
    /// Where there is none, or one of several does not tell its version.
    pub(super) async fn at(paths: &[PathBuf]) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no program that is etcd and Kubernetes is named");
        let first = std::path::absolute(paths.first().ok_or_else(missing)?)?;
        let mut versions = Vec::new();
        if paths.len() > 1 {
            for path in paths {
                let path: Arc<Path> = std::path::absolute(path)?.into();
                versions.push(Versioned { version: version_of(&path).await?, path });
            }
        }
        Ok(Self { first: first.into(), versions: versions.into() })
    }

    /// The one of this version; else one of the same minor version; else the first.
    pub(super) fn of(&self, version: Option<&str>) -> &Path {
        let find = |matches: &dyn Fn(&str) -> bool| self.versions.iter().find(|it| matches(&it.version));
        let found = version.and_then(|wanted| {
            let exact = find(&|it| it == wanted);
            exact.or_else(|| find(&|it| minor(it).is_some() && minor(it) == minor(wanted)))
        });
        found.map_or(&self.first, |it| &it.path)
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
        let versions = [one("new", "v1.36.3"), one("old", "v1.35.4")].into();
        let programs = Programs { first: Path::new("new").into(), versions };
        assert_eq!(programs.of(Some("v1.35.4")), Path::new("old"));
        assert_eq!(programs.of(Some("v1.35.1")), Path::new("old"));
        assert_eq!(programs.of(Some("v1.34.9")), Path::new("new"));
        assert_eq!(programs.of(None), Path::new("new"));
    }
}

//! A `kube` for programs that others have built: it starts those of a directory that `KUBEBUILDER_ASSETS` names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{ASSETS, KubeTools, hash_part, short_hex};
use crate::error::Error;

/// A `kube` that starts the programs of `assets`, and those which are not there from what was built.
pub(super) fn write(tools: &Path, assets: &Path, built: Option<&KubeTools>) -> Result<KubeTools, Error> {
    let script = script(assets, built.map(KubeTools::directory));
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
pub(super) fn script(assets: &Path, built: Option<&Path>) -> String {
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
    use std::path::PathBuf;

    use super::super::Program;
    use super::*;
    use crate::process;

    #[test]
    fn launcher_prefers_the_assets_and_falls_back_to_what_was_built() {
        let root = tempfile::tempdir().unwrap();
        let assets = root.path().join("it's here");
        let built = KubeTools { directory: root.path().join("built") };
        let program = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        program(assets.join("etcd"), r#"echo assets "$@""#);
        program(built.directory.join("kube"), r#"echo built "$@""#);
        let both = write(root.path(), &assets, Some(&built)).unwrap();
        assert_eq!(process::answer(both.command(Program::Etcd).arg("--name=a b")).unwrap(), "assets --name=a b\n");
        assert_eq!(process::answer(both.command(Program::Kubectl).arg("get")).unwrap(), "built kubectl get\n");
        let alone = write(root.path(), &assets, None).unwrap();
        assert_eq!(process::answer(&mut alone.command(Program::Etcd)).unwrap(), "assets\n");
        assert!(process::answer(&mut alone.command(Program::Kubectl)).is_err());
    }
}

//! The operator of a sandbox: what it needs in the management cluster, and running it under exactly the role that an
//! installation gives it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::error::Error;
use crate::process;
use crate::repository::Repository;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::management::Management;
use crate::sandbox::platform::NAMESPACE;
use crate::sandbox::programs::Programs;
use crate::sandbox::repositories;
use crate::sandbox::simulator::Simulator;
use crate::sandbox::supervisor::Supervisor;

/// The role of an installation.
const ROLE: &str = "manifests/operator-rbac.yaml";

/// The service account that [`ROLE`] makes.
const ACCOUNT: &str = "helix-operator";

/// NetBird's management service, as platforms name it.
const NETBIRD: &str = "https://api.netbird.io";

/// The file of a sandbox in which the operator says where it is scraped.
pub(crate) const ADDRESS: &str = "operator.address";

/// What the operator is called among the processes of a sandbox.
pub(crate) const PROCESS: &str = "helix-operator";

/// As long as an API server may take to serve a new resource.
const LONGEST_ESTABLISHING: Duration = Duration::from_secs(30);

/// Applies the resource definitions, the namespace and the role.
///
/// # Errors
/// When kubectl fails, or the API server does not serve the resources in time.
pub(crate) fn install(
    supervisor: &mut Supervisor,
    repository: &Repository,
    kubectl: &Kubectl<'_>,
) -> Result<(), Error> {
    for definition in ["helix.dev_helixplatforms.yaml", "helix.dev_helixmachines.yaml"] {
        kubectl.apply_file(&repository.path("crds").join(definition))?;
    }
    namespace(kubectl, NAMESPACE)?;
    kubectl.apply_file(&repository.path(ROLE))?;
    for resource in ["helixplatforms.helix.dev", "helixmachines.helix.dev"] {
        supervisor.wait(resource, LONGEST_ESTABLISHING, || {
            process::succeeds(kubectl.command().args(["get", resource, "--all-namespaces"]))
        })?;
    }
    Ok(())
}

/// Makes a namespace, if it is not there.
///
/// # Errors
/// When kubectl fails.
pub(crate) fn namespace(kubectl: &Kubectl<'_>, name: &str) -> Result<(), Error> {
    kubectl.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
}

/// Writes a kubeconfig with a token of the operator's service account.
///
/// # Errors
/// When kubectl fails or the file can't be written.
pub(crate) fn kubeconfig(
    directory: &Directory,
    management: &Management,
    kubectl: &Kubectl<'_>,
) -> Result<PathBuf, Error> {
    let mut create = kubectl.command();
    create.args(["create", "token", ACCOUNT, "--namespace", NAMESPACE]);
    // No kubelet renews it here, and a sandbox may be left running for long.
    let token = process::answer(create.arg("--duration=8760h"))?;
    management.write_kubeconfig(directory, "management/operator.kubeconfig", ACCOUNT, token.trim())
}

/// The command that runs the operator with this kubeconfig, and with the simulators in the place of public services.
pub(crate) fn command(programs: &Programs, kubeconfig: &Path, simulator: &Simulator, directory: &Directory) -> Command {
    let mut operator = Command::new(programs.own("helix-operator"));
    let arguments = ["--listen=127.0.0.1:0", "--log-format=pretty"];
    operator.env("KUBECONFIG", kubeconfig).envs(repositories::environment(directory)).args(arguments);
    operator.arg("--helm").arg(programs.helm()).arg(format!("--mirror=*={}", simulator.charts()));
    operator.arg(format!("--mirror={}", mesh_mirror(simulator)));
    operator.arg("--address-file").arg(directory.path(ADDRESS));
    operator
}

/// Where NetBird's management service is reached instead.
pub(crate) fn mesh_mirror(simulator: &Simulator) -> String {
    format!("{NETBIRD}={}", simulator.mesh())
}

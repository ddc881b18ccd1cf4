//! The ways into what a sandbox runs: files for kubectl, talosctl and Hetzner clients, and what to try with them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::platform::Platform;

/// The key under which the operator keeps a client configuration in its Secret.
const KEY: &str = "value";

/// Writes `workload.kubeconfig` and `talosconfig` from the Secrets that the operator has made.
///
/// # Errors
/// When a Secret is not there or holds something else, or a file can't be written.
pub(crate) fn fetch(kubectl: &Kubectl<'_>, platform: &Platform, directory: &Directory) -> Result<(), Error> {
    for (kind, file) in [("kubeconfig", "workload.kubeconfig"), ("talosconfig", "talosconfig")] {
        let name = format!("{}-{kind}", platform.name());
        let namespace = format!("--namespace={}", platform.namespace());
        let secret = kubectl.json(&["get", "secret", &name, &namespace])?;
        let unusable = |problem: String| Error::Answer { command: format!("kubectl get secret {name}"), problem };
        let encoded = secret["data"][KEY].as_str();
        let encoded = encoded.ok_or_else(|| unusable(format!("it has no data.{KEY}")))?;
        let decoded = STANDARD.decode(encoded).map_err(|error| unusable(error.to_string()))?;
        let text = String::from_utf8(decoded).map_err(|_| unusable(format!("data.{KEY} is no text")))?;
        directory.write(file, &text)?;
    }
    Ok(())
}

/// How to run the operator oneself.
pub(crate) fn run_operator(program: &Path, kubeconfig: &Path) -> String {
    format!(
        "\nNo operator runs. Run one:\n\n  KUBECONFIG='{}' '{}' --listen=127.0.0.1:0\n\n",
        kubeconfig.display(),
        program.display()
    )
}

/// What to try, for a person at a shell.
pub(crate) fn look_around(platform: &Platform, directory: &Directory, kube: &Path, detached: bool) -> String {
    let root = directory.root().display();
    let kubectl = kube.display();
    let (namespace, name) = (platform.namespace(), platform.name());
    let end = if detached {
        format!("Stop it:           cargo xtask sandbox down --dir {root}")
    } else {
        "Stop it:           Ctrl-C".to_owned()
    };
    format!(
        "\n\
         Look around in {name} (any kubectl will do; this one was built):\n\n  \
         export KUBECTL='{kubectl} kubectl' DIR='{root}'\n\n\
         The platform:      $KUBECTL --kubeconfig $DIR/management.kubeconfig -n {namespace} get hp,hm\n\
         Its cluster:       $KUBECTL --kubeconfig $DIR/workload.kubeconfig get nodes -o wide\n\
         Its machines:      talosctl --talosconfig $DIR/talosconfig version   (if you have talosctl)\n\
         Its servers:       . $DIR/hetzner.env; curl -H \"Authorization: Bearer $HCLOUD_TOKEN\" $HCLOUD_ENDPOINT/servers\n\
         Delete it:         $KUBECTL --kubeconfig $DIR/management.kubeconfig -n {namespace} delete hp {name}\n\
         The logs:          {root}/logs\n\
         {end}\n"
    )
}

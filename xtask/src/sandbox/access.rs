//! The ways into what a sandbox runs: files for kubectl, talosctl and Hetzner clients, and what to try with them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::Error;
use crate::sandbox::directory::Directory;
use crate::sandbox::kubectl::Kubectl;
use crate::sandbox::platform::Platform;

/// The key under which the operator keeps a client configuration in its Secret.
const KEY: &str = "value";

/// Writes `workload.kubeconfig` and `talosconfig` from the Secrets that the operator has made. Where they lead into the
/// private network, as with closed admin ports, they lead to the control planes' own addresses here: nobody outside is in a
/// simulated network, and the control planes admit loopback.
///
/// # Errors
/// When a Secret is not there or holds something else, or a file can't be written.
pub(crate) fn fetch(kubectl: &Kubectl<'_>, platform: &Platform, directory: &Directory) -> Result<(), Error> {
    let control_planes = control_planes(kubectl, platform)?;
    for (kind, file) in [("kubeconfig", "workload.kubeconfig"), ("talosconfig", "talosconfig")] {
        let name = format!("{}-{kind}", platform.name());
        let namespace = format!("--namespace={}", platform.namespace());
        let secret = kubectl.json(&["get", "secret", &name, &namespace])?;
        let unusable = |problem: String| Error::Answer { command: format!("kubectl get secret {name}"), problem };
        let encoded = secret["data"][KEY].as_str();
        let encoded = encoded.ok_or_else(|| unusable(format!("it has no data.{KEY}")))?;
        let decoded = STANDARD.decode(encoded).map_err(|error| unusable(error.to_string()))?;
        let text = String::from_utf8(decoded).map_err(|_| unusable(format!("data.{KEY} is no text")))?;
        directory.write(file, &reachable(&text, &control_planes))?;
    }
    Ok(())
}

/// The private and the public address of each control plane.
fn control_planes(kubectl: &Kubectl<'_>, platform: &Platform) -> Result<Vec<(String, String)>, Error> {
    let namespace = format!("--namespace={}", platform.namespace());
    let machines = kubectl.json(&["get", "helixmachines", &namespace])?;
    let items = machines["items"].as_array().into_iter().flatten();
    let own = items.filter(|it| it["spec"]["platform"] == platform.name() && it["spec"]["pool"] == "cp");
    let addresses = own.filter_map(|machine| {
        let at = |key: &str| machine["status"]["addresses"][key].as_str().map(str::to_owned);
        Some((at("private")?, at("publicIpv4")?))
    });
    Ok(addresses.collect())
}

/// A client configuration that leads to public addresses. The load balancer's private one stands for any control plane's.
fn reachable(text: &str, control_planes: &[(String, String)]) -> String {
    let lines = text.lines().map(|line| {
        let mut line = line.to_owned();
        for (private, public) in control_planes {
            let whole = |found: &str| found.trim_matches(['"', '\'', ' ', '-', ',', '[', ']']) == private;
            if whole(&line) || line.contains(&format!("//{private}:")) {
                line = line.replace(private, public);
            }
        }
        if let (Some((head, host)), Some((_, public))) = (line.split_once("server: https://"), control_planes.first())
            && host.starts_with("10.")
            && let Some((_, port)) = host.rsplit_once(':')
        {
            line = format!("{head}server: https://{public}:{port}");
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// How to run the operator oneself, by the command that would have run it.
pub(crate) fn run_operator(command: &Command) -> String {
    let quoted = |text: &OsStr| format!("'{}'", text.to_string_lossy().replace('\'', r"'\''"));
    let variables = command.get_envs().filter_map(|(name, value)| Some((name.to_string_lossy(), quoted(value?))));
    let variables = variables.map(|(name, value)| format!("{name}={value}"));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    format!("\nNo operator runs. Run one:\n\n  {}\n\n", variables.chain(words).collect::<Vec<_>>().join(" "))
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

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn private_addresses_become_public_ones() {
        let control_planes =
            [("10.0.1.3".to_owned(), "127.8.0.3".to_owned()), ("10.0.1.30".to_owned(), "127.8.0.30".to_owned())];
        let lead = |text: &str| reachable(text, &control_planes);
        assert_eq!(lead("    server: https://10.0.1.2:6443"), "    server: https://127.8.0.3:6443\n");
        assert_eq!(lead("    server: https://10.0.1.30:6443"), "    server: https://127.8.0.30:6443\n");
        assert_eq!(lead("    server: https://127.8.0.9:6443"), "    server: https://127.8.0.9:6443\n");
        assert_eq!(lead("- 10.0.1.30\n- 10.0.1.3"), "- 127.8.0.30\n- 127.8.0.3\n");
    }
}

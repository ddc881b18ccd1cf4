//! The identity of a machine configuration, found from its inputs without rendering it.
//!
//! A plan for a thousand machines compares a thousand of these, so it must cost microseconds.

use std::fmt;

use semver::Version;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::change::{Rules, rebooting_sections};
use super::labels::kubelet_may_set;
use super::{MachineConfigInputs, MachineRole, Storage};
use crate::names::MachineName;
use crate::secrets::short_hex;

/// Counts what the renderer makes of equal inputs, for each document style by itself. It is part of the digest, so that
/// a Helix which renders otherwise sees every machine of that Talos as outdated; tests hold it against the text.
pub(super) fn renderer_version(talos: &Version) -> u32 {
    match (talos.major, talos.minor) {
        (1, 13) => 2,
        (1, 14) => 2,
        _ => 0,
    }
}

/// Names a machine configuration: equal inputs, bundle and renderer give equal digests. Four parts in hex digits, joined
/// by dots: 32 of everything, then 8 each of what only a reboot brings into force (by the rules up to Talos 1.13, and by
/// those from 1.14 on) and of what is decided at birth.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ConfigDigest(String);

impl ConfigDigest {
    /// The digest as text, as the node annotation `helix.dev/config` carries it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConfigDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) reboots_listed: &'a str,
    pub(super) reboots_never: &'a str,
    pub(super) birth: &'a str,
}

impl<'a> Parts<'a> {
    /// The parts of a digest that this Helix has written; none of any other text.
    pub(super) fn of(digest: &'a str) -> Option<Self> {
        let mut parts = digest.split('.');
        let (_, listed, never, birth) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(Self { reboots_listed: listed, reboots_never: never, birth })
    }
}

/// The digest of the configuration that these inputs and the bundle of that digest give.
#[must_use]
pub fn config_digest(inputs: &MachineConfigInputs, bundle_digest: &str) -> ConfigDigest {
    AlikeDigests::of(inputs, bundle_digest).of_machine(&inputs.machine, inputs.server_id)
}

/// The digests of configurations that are alike but for machine and server, as those of a pool are: what they share is
/// made ready once, and a digest costs one hash.
pub struct AlikeDigests {
    /// Has been fed what comes before machine and server.
    before: Sha256,
    /// What comes after them.
    after: Vec<u8>,
    /// All parts of the digest but the first.
    parts: String,
}

impl AlikeDigests {
    /// Of configurations like the one that these inputs and the bundle of that digest give.
    #[must_use]
    pub fn of(inputs: &MachineConfigInputs, bundle_digest: &str) -> Self {
        let (before, after) = shared(inputs, bundle_digest);
        let reboots = |rules: Rules| {
            part(|canonical| {
                for (section, values) in rebooting_sections(inputs, rules) {
                    canonical.text(&section);
                    canonical.many(&values, Canonical::value);
                }
            })
        };
        let birth = part(|canonical| canonical.storage(inputs.storage));
        let parts = format!("{}.{}.{birth}", reboots(Rules::Listed), reboots(Rules::Never));
        Self { before: Sha256::new().chain_update(before.0), after: after.0, parts }
    }

    /// That of the machine on this server.
    #[must_use]
    pub fn of_machine(&self, machine: &MachineName, server_id: u64) -> ConfigDigest {
        let mut own = Canonical::default();
        own.shown(machine);
        own.number(server_id);
        let whole = self.before.clone().chain_update(own.0).chain_update(&self.after).finalize();
        ConfigDigest(format!("{}.{}", short_hex(&whole), self.parts))
    }
}

/// What is fed before machine and server, and after them.
fn shared(inputs: &MachineConfigInputs, bundle_digest: &str) -> (Canonical, Canonical) {
    let mut canonical = Canonical::default();
    canonical.text("helix.dev/machine-config/v1");
    canonical.number(u64::from(renderer_version(&inputs.talos_version)));
    canonical.text(bundle_digest);
    // Destructured, so that a new input cannot be forgotten here.
    let MachineConfigInputs {
        talos_version,
        kubernetes,
        role,
        machine: _,
        server_id: _,
        cluster_name,
        endpoint,
        cert_sans,
        node_subnet,
        pod_cidr,
        service_cidr,
        schematic,
        labels,
        taints,
        schedulable_control_planes,
        storage,
        trusted_issuer,
        patches,
    } = inputs;
    canonical.shown(talos_version);
    canonical.shown(&kubernetes.kubelet);
    if *role == MachineRole::ControlPlane {
        canonical.shown(&kubernetes.api_server);
        canonical.shown(&kubernetes.controllers);
    }
    canonical.number(match role {
        MachineRole::ControlPlane => 0,
        MachineRole::Worker => 1,
    });
    let before = std::mem::take(&mut canonical);
    canonical.text(cluster_name);
    canonical.text(endpoint);
    canonical.many(cert_sans, |c, san| c.text(san));
    canonical.shown(node_subnet);
    canonical.shown(pod_cidr);
    canonical.shown(service_cidr);
    canonical.text(schematic);
    // What is not rendered makes no other configuration: labels that go through the API, and a worker's scheduling.
    let at_birth: Vec<_> = labels.iter().filter(|(key, _)| kubelet_may_set(key)).collect();
    canonical.many(at_birth, |c, (key, value)| {
        c.text(key);
        c.text(value);
    });
    canonical.many(taints, |c, taint| {
        c.text(&taint.key);
        c.text(&taint.value);
        c.text(&taint.effect);
    });
    canonical.number(u64::from(*role == MachineRole::ControlPlane && *schedulable_control_planes));
    canonical.storage(*storage);
    canonical.many(patches, Canonical::value);
    // Fed only where there is one, so that machines without keep the digest that they have.
    if let Some(issuer) = trusted_issuer.as_ref().filter(|_| *role == MachineRole::ControlPlane) {
        canonical.text(&issuer.url);
        canonical.text(&issuer.client_id);
    }
    (before, canonical)
}

/// A short hash of what is fed.
fn part(feed: impl FnOnce(&mut Canonical)) -> String {
    const DIGITS: usize = 8;
    let mut canonical = Canonical::default();
    feed(&mut canonical);
    let mut text = short_hex(&Sha256::digest(canonical.0));
    text.truncate(DIGITS);
    text
}

/// What is fed into a hash: no two different sequences of values give the same bytes.
#[derive(Default)]
struct Canonical(Vec<u8>);

impl Canonical {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn storage(&mut self, storage: Option<Storage>) {
        let (kind, bytes) = match storage {
            None => (0, 0),
            Some(Storage::SystemDisk(bytes)) => (1, bytes),
            Some(Storage::Volume(bytes)) => (2, bytes),
        };
        self.number(kind);
        self.number(bytes);
    }

    fn shown(&mut self, value: &dyn fmt::Display) {
        self.text(&value.to_string());
    }

    fn many<T>(&mut self, items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>, feed: fn(&mut Self, T)) {
        let items = items.into_iter();
        self.number(items.len() as u64);
        for item in items {
            feed(self, item);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.number(0),
            Value::Bool(flag) => self.number(1 + u64::from(*flag)),
            Value::Number(number) => {
                self.number(3);
                self.shown(number);
            }
            Value::String(text) => {
                self.number(4);
                self.text(text);
            }
            Value::Array(items) => {
                self.number(5);
                self.many(items, Self::value);
            }
            Value::Object(map) => {
                self.number(6);
                // Sorted here, whatever order the map keeps: key order says nothing in a patch.
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                self.many(entries, |c, (key, value)| {
                    c.text(key);
                    c.value(value);
                });
            }
        }
    }
}

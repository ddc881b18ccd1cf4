//! Names in a forecast: records that are written, and what others are taken to write.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use jiff::SignedDuration;

use super::{World, assumed, durations};
use crate::components::Component;
use crate::names::MachineName;
use crate::observed::ServiceFacts;
use crate::step::RecordChange;
use crate::validated::ValidatedPlatform;

impl World<'_> {
    /// Lets a change of a record have its effect.
    pub(super) fn change_record(&mut self, change: &RecordChange) {
        let Some(records) = self.observed.dns.records.value_mut() else { return };
        records.retain(|known| known.host() != change.host());
        match change {
            RecordChange::Create(record) | RecordChange::Set(record) => records.push(record.clone()),
            RecordChange::Delete { .. } => {}
        }
    }

    /// Where Traefik runs the ingress has its load balancer; and who writes records by hand does so.
    pub(super) fn settle_names(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        let mut took = self.settle_ingress(platform);
        let addresses: BTreeSet<Ipv4Addr> = match self.ingress() {
            Some(ingress) => ingress.addresses.iter().copied().collect(),
            None => BTreeSet::new(),
        };
        let by_hand = |host: &&String| platform.dns.place(host).is_none();
        for host in platform.dns.ingress.iter().filter(by_hand) {
            if !addresses.is_empty() && self.observed.dns.resolved.insert(host.clone(), addresses.clone()).is_none() {
                took = Some(durations::NETWORK_ATTACHED);
            }
        }
        let servers = self.observed.cloud.value().map(|cloud| cloud.servers.clone()).unwrap_or_default();
        let control_plane = |name: &str| MachineName::parse(name).is_ok_and(|machine| machine.is_control_plane());
        let public: BTreeSet<Ipv4Addr> =
            servers.iter().filter(|it| control_plane(&it.name)).filter_map(|it| it.public_ipv4).collect();
        for host in platform.dns.api.iter().filter(by_hand) {
            if !public.is_empty() && self.observed.dns.resolved.insert(host.clone(), public.clone()).is_none() {
                took = Some(durations::NETWORK_ATTACHED);
            }
        }
        took
    }

    fn ingress(&self) -> Option<&ServiceFacts> {
        let services = &self.observed.kubernetes.value()?.services;
        services.iter().find(|it| it.namespace == "traefik" && it.name == "traefik")
    }

    fn settle_ingress(&mut self, platform: &ValidatedPlatform) -> Option<SignedDuration> {
        if platform.dns.ingress.is_empty() || !self.is_well(Component::Traefik) || self.ingress().is_some() {
            return None;
        }
        let ingress = ServiceFacts {
            namespace: "traefik".to_owned(),
            name: "traefik".to_owned(),
            uid: "to-be-made".to_owned(),
            leaving: None,
            addresses: vec![assumed::INGRESS],
        };
        self.observed.kubernetes.value_mut()?.services.push(ingress);
        Some(durations::TARGET_HEALTHY)
    }
}

//! What adoption makes true: what was somebody's is the platform's, as it was looked at.

use super::World;
use crate::observed::{
    Adoptee, CloudFacts, Fact, Firewall, LoadBalancer, Named, Network, PlacementGroup, Server, SshKey, Tags, Volume,
};

impl World<'_> {
    /// A resource becomes the platform's.
    pub(super) fn take_over(&mut self, named: Named, name: &str, labels: &Tags) {
        let adoptee = self.observed.adoptees.remove(&named);
        if let Some(Fact::Known { value: Some(adoptee), .. }) = adoptee {
            self.at_hetzner(|cloud| adopt(cloud, adoptee, name, labels));
        }
    }
}

/// What was an adoptee is the platform's, by its name and labels.
fn adopt(cloud: &mut CloudFacts, adoptee: Adoptee, name: &str, labels: &Tags) {
    let labels = labels.clone();
    match adoptee {
        Adoptee::Server { server, .. } => cloud.servers.push(Server { name: name.to_owned(), labels, ..*server }),
        Adoptee::LoadBalancer { balancer, .. } => cloud.load_balancers.push(LoadBalancer { labels, ..*balancer }),
        Adoptee::PlacementGroup(group) => cloud.placement_groups.push(PlacementGroup { labels, ..group }),
        Adoptee::Firewall { firewall, .. } => cloud.firewalls.push(Firewall { labels, ..firewall }),
        Adoptee::SshKey(key) => cloud.ssh_keys.push(SshKey { labels, ..key }),
        Adoptee::Network(network) => cloud.networks.push(Network { labels, ..network }),
        Adoptee::Volume(volume) => cloud.volumes.push(Volume { labels, ..volume }),
    }
}

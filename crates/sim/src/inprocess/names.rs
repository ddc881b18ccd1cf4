//! What names lead to, played on the zones of the project: a resolver that has nothing in store.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use helix_engine::seams::Names;

use super::Universe;

#[async_trait]
impl Names for Universe {
    async fn resolve(&self, host: &str) -> Vec<Ipv4Addr> {
        let found = self.with_world(|world, project, _| world.project(project).resolve(host));
        found.iter().filter_map(|value| value.parse().ok()).collect()
    }
}

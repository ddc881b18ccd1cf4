//! Records of DNS in the zones of Hetzner's project, and what names lead to.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use helix_plan::observed::Record;
use helix_plan::step::Lane;

use super::{Accepted, CloudError};

/// Zones of DNS under one token, as far as Helix uses them: sets of A records. Each call draws on the token's budget as
/// those of [`super::Cloud`] do.
#[async_trait]
pub trait Zones: Send + Sync {
    /// The names of all zones that the token can see; none where it can see none.
    async fn zones(&self, lane: Lane) -> Result<Vec<String>, CloudError>;
    /// The A records of a zone that carry any platform's UID label.
    ///
    /// # Errors
    /// [`CloudError::NotFound`], when the project has no such zone.
    async fn records(&self, lane: Lane, zone: &str) -> Result<Vec<Record>, CloudError>;
    /// The A record of a name, whoever owns it.
    async fn record(&self, lane: Lane, zone: &str, name: &str) -> Result<Option<Record>, CloudError>;
    /// Adds a record.
    ///
    /// # Errors
    /// [`CloudError::Taken`], when the name has one.
    async fn create_record(&self, lane: Lane, new: &Record) -> Result<Accepted<()>, CloudError>;
    /// Lets a record lead to other addresses.
    async fn set_record(&self, lane: Lane, record: &Record) -> Result<Accepted<()>, CloudError>;
    /// Deletes a record; one that is gone is success.
    async fn delete_record(&self, lane: Lane, zone: &str, name: &str) -> Result<Accepted<()>, CloudError>;
}

/// What names lead to, for whoever asks from where Helix is.
#[async_trait]
pub trait Names: Send + Sync {
    /// The IPv4 addresses of a host; none where nobody knows it, or nobody answers in time.
    async fn resolve(&self, host: &str) -> Vec<Ipv4Addr>;
}

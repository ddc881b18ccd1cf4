//! Object storage: buckets of objects, and the key pairs that open all of them, as a pair of a project at Hetzner does.
//!
//! An object is put whole, replaced whole or deleted; nothing changes it. Requests, signatures and checksums are the
//! server's matter (`crate::s3`).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What it holds.
    pub content: Arc<[u8]>,
    /// What its owner noted on it: `x-amz-meta-…` headers by their name without that.
    pub metadata: BTreeMap<String, String>,
    /// When it was put.
    pub modified: Timestamp,
}

impl Object {
    /// One without metadata.
    #[must_use]
    pub fn new(content: impl Into<Arc<[u8]>>, modified: Timestamp) -> Self {
        Self { content: content.into(), metadata: BTreeMap::new(), modified }
    }
}

/// The objects of a bucket, by key.
pub type Objects = BTreeMap<String, Object>;

/// All of it.
#[derive(Clone, Default)]
pub struct ObjectStorage {
    /// Secrets by access key.
    pairs: BTreeMap<String, String>,
    buckets: BTreeMap<String, Objects>,
    /// The only region that signatures may be for; absent for any.
    pub region: Option<String>,
}

impl std::fmt::Debug for ObjectStorage {
    /// Without the pairs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: BTreeMap<&str, usize> = self.buckets.iter().map(|(name, it)| (name.as_str(), it.len())).collect();
        f.debug_struct("ObjectStorage").field("buckets", &sizes).finish_non_exhaustive()
    }
}

impl ObjectStorage {
    /// Lets the holder of a pair in.
    pub fn add_pair(&mut self, access_key_id: &str, secret_access_key: &str) {
        self.pairs.insert(access_key_id.to_owned(), secret_access_key.to_owned());
    }

    /// The secret that belongs to an access key.
    #[must_use]
    pub fn secret_of(&self, access_key_id: &str) -> Option<&str> {
        self.pairs.get(access_key_id).map(String::as_str)
    }

    /// Makes a bucket, if there is none of that name.
    pub fn add_bucket(&mut self, name: &str) {
        self.buckets.entry(name.to_owned()).or_default();
    }

    /// The buckets.
    pub fn buckets(&self) -> impl Iterator<Item = (&str, &Objects)> {
        self.buckets.iter().map(|(name, objects)| (name.as_str(), objects))
    }

    /// What is in a bucket.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<&Objects> {
        self.buckets.get(name)
    }

    /// The same, to change it.
    pub fn bucket_mut(&mut self, name: &str) -> Option<&mut Objects> {
        self.buckets.get_mut(name)
    }
}

/// The objects after a key whose keys begin with a prefix, by key.
pub fn listed<'a>(
    objects: &'a Objects,
    prefix: &'a str,
    after: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a Object)> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let rest = objects.range::<str, _>((from, Bound::Unbounded));
    rest.map(|(key, object)| (key.as_str(), object)).take_while(move |(key, _)| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_the_keys_of_a_prefix_in_order_after_a_key() {
        let object = || Object::new(Vec::new(), Timestamp::UNIX_EPOCH);
        let objects: Objects = ["b/2", "a/1", "b/1", "b0", "b/3"].map(|key| (key.to_owned(), object())).into();
        let keys = |prefix, after| listed(&objects, prefix, after).map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(keys("b/", None), ["b/1", "b/2", "b/3"]);
        assert_eq!(keys("b/", Some("b/2")), ["b/3"]);
        assert_eq!(keys("b/", Some("a/1")), ["b/1", "b/2", "b/3"]);
        assert_eq!(keys("", None).len(), 5);
    }
}

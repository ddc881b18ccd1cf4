//! Snapshots of modelled clusters: small, but of the shape of real ones, whose last 32 bytes are the SHA-256 of all others
//! and whose database before them is a whole number of 512-byte sectors.

use sha2::{Digest, Sha256};

const MAGIC: &[u8; 16] = b"etcd of helixsim";
const SECTOR: usize = 512;
const HASH: usize = 32;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The cluster that it was taken of.
    pub cluster: u64,
    /// How many changes that had seen.
    pub revision: u64,
}

impl Snapshot {
    /// As bytes, with the hash at the end.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.cluster.to_be_bytes());
        bytes.extend(self.revision.to_be_bytes());
        bytes.resize(SECTOR, 0);
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        bytes
    }

    /// Read back; `None` where it is no snapshot, or `check_hash` and the hash is not that of the rest.
    #[must_use]
    pub fn decode(bytes: &[u8], check_hash: bool) -> Option<Self> {
        let database = bytes.get(..SECTOR)?;
        if check_hash && (bytes.len() != SECTOR + HASH || Sha256::digest(database).as_slice() != &bytes[SECTOR..]) {
            return None;
        }
        let rest = database.strip_prefix(MAGIC)?;
        let number = |at: usize| rest.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        Some(Self { cluster: number(0)?, revision: number(8)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_back_and_damage_shows() {
        let snapshot = Snapshot { cluster: 7, revision: 9 };
        let mut bytes = snapshot.encode();
        assert_eq!(bytes.len() % SECTOR, HASH);
        assert_eq!(Snapshot::decode(&bytes, true), Some(snapshot));
        bytes[100] ^= 1;
        assert_eq!(Snapshot::decode(&bytes, true), None);
        assert_eq!(Snapshot::decode(&bytes, false), Some(snapshot));
        assert_eq!(Snapshot::decode(b"something else", false), None);
    }
}

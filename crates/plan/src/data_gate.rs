//! The gate of replicated data: whether a machine may be emptied now without taking the last healthy copy of something.
//!
//! Every drain asks here, whatever it is for. What has one copy by its own wish pauses with its machine, as it was asked
//! to; but no machine leaves for good that holds the only copy of a volume. Of several machines that may be emptied at a
//! time, what is only on those that go ahead counts as gone: each alone would spare another copy that the other takes.

use std::collections::BTreeSet;
use std::fmt;

/// A volume of Longhorn's, and where its copies are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeCopies {
    /// Its name.
    pub name: String,
    /// How many copies it is to have.
    pub wanted: u32,
    /// What Longhorn says of it: `healthy`, `degraded`, `faulted` or `unknown`.
    pub robustness: String,
    /// Nodes with a healthy copy.
    pub healthy_on: BTreeSet<String>,
}

/// A PostgreSQL cluster, and where its instances are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInstances {
    /// As `namespace/name`.
    pub name: String,
    /// How many instances it is to have.
    pub wanted: u32,
    /// The node of its primary.
    pub primary_on: Option<String>,
    /// Nodes with an instance that is ready, the primary's among them.
    pub ready_on: BTreeSet<String>,
}

/// All that is replicated in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFacts {
    /// Volumes.
    pub volumes: Vec<VolumeCopies>,
    /// Databases.
    pub databases: Vec<DatabaseInstances>,
}

/// Whether a machine comes back after it was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It comes back with its disks.
    ForAWhile,
    /// It does not.
    ForGood,
}

/// What would be lost, or stand still, without the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastCopy {
    /// The last healthy copy of a volume.
    Volume {
        /// Its name.
        name: String,
        /// How many copies it is to have.
        wanted: u32,
    },
    /// The last instance of a database that is ready.
    Database {
        /// As `namespace/name`.
        name: String,
        /// How many instances it is to have.
        wanted: u32,
    },
}

impl fmt::Display for LastCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume { name, wanted } => {
                write!(f, "the last healthy copy of volume {name}, which is to have {wanted}")
            }
            Self::Database { name, wanted } => {
                write!(f, "the last ready instance of the PostgreSQL cluster {name}, which is to have {wanted}")
            }
        }
    }
}

impl DataFacts {
    /// Whether the node may be emptied while those that are away, or about to be, keep nothing either.
    ///
    /// # Errors
    /// [`LastCopy`]: what is only there.
    pub fn may_drain(&self, node: &str, absence: Absence, away: &BTreeSet<String>) -> Result<(), LastCopy> {
        let alone = |places: &BTreeSet<String>| {
            places.contains(node) && places.iter().all(|place| place == node || away.contains(place))
        };
        for volume in self.volumes.iter().filter(|volume| alone(&volume.healthy_on)) {
            if volume.wanted > 1 || absence == Absence::ForGood {
                return Err(LastCopy::Volume { name: volume.name.clone(), wanted: volume.wanted });
            }
        }
        for database in self.databases.iter().filter(|database| alone(&database.ready_on)) {
            // A single instance moves with its volume.
            if database.wanted > 1 {
                return Err(LastCopy::Database { name: database.name.clone(), wanted: database.wanted });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(nodes: &[&str]) -> BTreeSet<String> {
        nodes.iter().map(|node| (*node).to_owned()).collect()
    }

    fn volume(wanted: u32, healthy_on: &[&str]) -> DataFacts {
        let robustness = if healthy_on.len() == wanted as usize { "healthy" } else { "degraded" }.to_owned();
        let volume = VolumeCopies { name: "pvc-1".into(), wanted, robustness, healthy_on: places(healthy_on) };
        DataFacts { volumes: vec![volume], databases: Vec::new() }
    }

    #[test]
    fn the_last_healthy_copy_stays_where_it_is() {
        use Absence::{ForAWhile, ForGood};
        let may = |volume: DataFacts, node, absence| volume.may_drain(node, absence, &places(&[]));
        assert_eq!(may(volume(3, &["a", "b", "c"]), "a", ForAWhile), Ok(()));
        assert_eq!(may(volume(3, &["a", "b"]), "a", ForAWhile), Ok(()), "another copy is healthy");
        let last = LastCopy::Volume { name: "pvc-1".into(), wanted: 3 };
        assert_eq!(may(volume(3, &["a"]), "a", ForAWhile), Err(last));
        assert_eq!(may(volume(3, &["a"]), "b", ForAWhile), Ok(()), "it holds no healthy copy");
        assert_eq!(may(volume(3, &[]), "a", ForGood), Ok(()), "nothing is left to protect");
    }

    #[test]
    fn a_copy_on_a_machine_that_goes_ahead_is_no_other_copy() {
        let may = |healthy_on, away| volume(2, healthy_on).may_drain("a", Absence::ForAWhile, &places(away));
        let last = LastCopy::Volume { name: "pvc-1".into(), wanted: 2 };
        assert_eq!(may(&["a", "b"], &["b"]), Err(last));
        assert_eq!(may(&["a", "b", "c"], &["b"]), Ok(()));
        assert_eq!(may(&["b"], &["b"]), Ok(()), "it holds none itself");
    }

    #[test]
    fn a_single_copy_pauses_but_is_never_thrown_away() {
        let may = |absence| volume(1, &["a"]).may_drain("a", absence, &places(&[]));
        assert_eq!(may(Absence::ForAWhile), Ok(()));
        let last = LastCopy::Volume { name: "pvc-1".into(), wanted: 1 };
        assert_eq!(may(Absence::ForGood), Err(last));
    }

    #[test]
    fn a_replicated_database_keeps_an_instance() {
        let database = |wanted, ready_on: &[&str]| DataFacts {
            volumes: Vec::new(),
            databases: vec![DatabaseInstances {
                name: "postgres/main".into(),
                wanted,
                primary_on: Some("a".into()),
                ready_on: places(ready_on),
            }],
        };
        let may = |facts: DataFacts| facts.may_drain("a", Absence::ForAWhile, &places(&[]));
        assert_eq!(may(database(3, &["a", "b"])), Ok(()), "the primary moves over");
        assert_eq!(may(database(1, &["a"])), Ok(()), "it moves with its volume");
        assert_eq!(may(database(3, &["a"])), Err(LastCopy::Database { name: "postgres/main".into(), wanted: 3 }));
    }
}

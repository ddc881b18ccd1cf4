//! What leaves the cache's directories: what nobody asked for in a long time, and the oldest of too much. A file's time of
//! modification says when it was last asked for. Never removed is what a pass that runs may be using, however much it is.

use std::cmp::Reverse;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// When what leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// What nobody asked for in so long leaves.
    pub(super) unasked: Duration,
    /// Of more bytes than these, what was asked for longest ago leaves.
    pub(super) bytes: u64,
    /// What was asked for since then stays, whatever the others say.
    pub(super) in_use: Duration,
}

/// Those of the cache. Of renderings, a quarter as much is held in memory.
pub(super) const BOUNDS: Bounds = Bounds {
    unasked: Duration::from_secs(30 * 24 * 3_600),
    bytes: 1 << 30,
    // Every platform is looked at far more often.
    in_use: Duration::from_secs(24 * 3_600),
};

/// A file of the cache.
struct Entry {
    path: PathBuf,
    bytes: u64,
    /// How long ago it was asked for; nothing where that is yet to come by this machine's clock.
    age: Duration,
}

/// Notes that a file is asked for now. One that is not there, or not ours to change, stays as it is.
pub(super) fn asked(path: &Path) {
    // To open it for writing says nothing of its content.
    let _ = File::options().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes from those directories what is out of bounds. What cannot be removed is tried the next time.
pub(super) fn prune(directories: &[PathBuf], bounds: Bounds) {
    let mut entries = entries(directories, SystemTime::now());
    entries.sort_by_key(|entry| Reverse(entry.age));
    let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    for entry in entries.into_iter().take_while(|entry| entry.age > bounds.in_use) {
        if (entry.age > bounds.unasked || bytes > bounds.bytes) && fs::remove_file(&entry.path).is_ok() {
            bytes = bytes.saturating_sub(entry.bytes);
        }
    }
}

fn entries(directories: &[PathBuf], now: SystemTime) -> Vec<Entry> {
    let listed = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let file = |path: PathBuf, metadata: Metadata| {
        let age = now.duration_since(metadata.modified().ok()?).unwrap_or_default();
        metadata.is_file().then_some(Entry { path, bytes: metadata.len(), age })
    };
    listed.filter_map(|entry| file(entry.path(), entry.metadata().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn put(directory: &TempDir, name: &str, bytes: usize, age: Duration) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        path
    }

    fn left(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn bounds(bytes: u64) -> Bounds {
        Bounds { bytes, ..BOUNDS }
    }

    #[test]
    fn what_nobody_asks_for_leaves_and_what_is_asked_for_stays() {
        let directory = TempDir::new().unwrap();
        let old = put(&directory, "old", 10, 31 * DAY);
        put(&directory, "older", 10, 99 * DAY);
        put(&directory, "recent", 10, 29 * DAY);
        asked(&old);
        prune(&[directory.path().to_owned()], BOUNDS);
        assert_eq!(left(&directory), ["old", "recent"]);
        asked(&directory.path().join("older"));
        assert_eq!(left(&directory), ["old", "recent"], "to be asked for makes nothing");
    }

    #[test]
    fn of_too_much_the_oldest_leaves_first_in_all_directories() {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        put(&one, "c", 40, 3 * DAY);
        put(&one, "a", 40, 5 * DAY);
        put(&other, "b", 40, 4 * DAY);
        put(&other, "d", 40, 2 * DAY);
        prune(&[one.path().to_owned(), other.path().to_owned()], bounds(90));
        assert_eq!((left(&one), left(&other)), (vec!["c".to_owned()], vec!["d".to_owned()]));
    }

    #[test]
    fn what_a_pass_may_use_stays_however_much_it_is() {
        let directory = TempDir::new().unwrap();
        put(&directory, "used", 1_000, 23 * HOUR);
        put(&directory, "unused", 1, 25 * HOUR);
        prune(&[directory.path().to_owned()], bounds(0));
        assert_eq!(left(&directory), ["used"]);
        prune(&[directory.path().join("none")], bounds(0));
    }
}

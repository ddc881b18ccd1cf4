//! Versions of charts: when two texts mean the same one, and which is nearest to one that is not there.

use semver::Version;

/// Whether they mean the same: some charts write a `v` before it, and their users often do not.
pub(super) fn same(a: &str, b: &str) -> bool {
    bare(a) == bare(b)
}

fn bare(version: &str) -> &str {
    version.strip_prefix('v').unwrap_or(version)
}

/// The version that is least far from `wanted`: of its minor version if there is one, then of its major version.
pub(super) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let parsed = known.filter_map(|text| Some((Version::parse(bare(text)).ok()?, text)));
    let Ok(wanted) = Version::parse(bare(wanted)) else {
        return parsed.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, text)| text.to_owned());
    };
    let far = |known: &Version| {
        let off = |a: u64, b: u64| a.abs_diff(b);
        let unstable = !known.pre.is_empty() && wanted.pre.is_empty();
        (unstable, off(known.major, wanted.major), off(known.minor, wanted.minor), off(known.patch, wanted.patch))
    };
    parsed.min_by_key(|(known, _)| far(known)).map(|(_, text)| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v_does_not_matter() {
        assert!(same("v1.2.3", "1.2.3") && same("1.2.3", "1.2.3") && !same("1.2.3", "1.2.4"));
    }

    #[test]
    fn the_nearest_is_of_the_same_line() {
        let known = ["1.19.9", "v1.20.1", "2.0.0", "1.20.4-rc.1"];
        assert_eq!(nearest("1.20.4", known.into_iter()).as_deref(), Some("v1.20.1"));
        assert_eq!(nearest("3.0.0", known.into_iter()).as_deref(), Some("2.0.0"));
        assert_eq!(nearest("latest", known.into_iter()).as_deref(), Some("2.0.0"));
        assert_eq!(nearest("1.0.0", [].into_iter()), None);
    }
}

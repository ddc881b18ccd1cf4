//! Where the program keeps charts and what they render to: in the user's cache directory, so that one command finds what
//! another has rendered.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use helix_clients::charts::ChartOptions;
use helix_clients::mirrors::Mirrors;

use crate::arguments::RenderingArguments;

/// How charts are got, from mirrors where there are any.
pub(crate) fn options(arguments: &RenderingArguments, mirrors: Mirrors) -> ChartOptions {
    let users = || users(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"));
    ChartOptions { helm: arguments.helm.clone(), cache: arguments.cache_dir.clone().or_else(users), mirrors }
}

/// By the XDG Base Directory Specification, which ignores what is relative; `None` for who has no home.
fn users(cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let caches = cache_home.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(caches.join("helix/charts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cache_is_where_the_environment_says() {
        let users = |cache_home: &str, home: &str| users(Some(cache_home.into()), Some(home.into()));
        assert_eq!(users("/caches", "/home/me"), Some("/caches/helix/charts".into()));
        for none in ["", "caches"] {
            assert_eq!(users(none, "/home/me"), Some("/home/me/.cache/helix/charts".into()), "{none}");
        }
        assert_eq!(users("", ""), None);
    }
}

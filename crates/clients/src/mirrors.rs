//! Where requests to public origins really go: an air-gapped site, and the sandbox, reach them through mirrors.
//!
//! A mirror is a place, not an authority: what is fetched through one is held to the same digests as what is fetched from
//! the origin. Plain HTTP is for this machine only.

use std::collections::BTreeMap;
use std::str::FromStr;

use reqwest::Url;

use crate::outbound::{is_local, may_be_asked};

/// One mirror, as in `https://charts.example.com=https://mirror.example.com/charts`, or `*=https://mirror.example.com`
/// for any origin: its host becomes the first part of the path then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The origin, as in `https://charts.example.com`; `None` for any.
    of: Option<String>,
    at: Url,
}

/// What is no mirror.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no mirror: {why}. Write ORIGIN=URL, as in https://charts.example.com=https://mirror.example.com/charts"
)]
pub struct NoMirror {
    text: String,
    why: &'static str,
}

impl FromStr for Mirror {
    type Err = NoMirror;

    fn from_str(text: &str) -> Result<Self, NoMirror> {
        let wrong = |why| NoMirror { text: without_password(text), why };
        let (of, at) = text.split_once('=').ok_or_else(|| wrong("it has no ="))?;
        let url = |text: &str| Url::parse(text.trim()).map_err(|_| wrong("it holds what is no URL"));
        let at = url(at)?;
        if !may_be_asked(&at) {
            return Err(wrong("its URL is not https, and not on this machine either"));
        }
        if !at.username().is_empty() || at.password().is_some() || at.query().is_some() || at.fragment().is_some() {
            return Err(wrong("its URL holds a user, a password, a query or a fragment"));
        }
        if of.trim() == "*" {
            return Ok(Self { of: None, at });
        }
        let origin = url(of)?;
        if origin.path() != "/" || origin.query().is_some() || !origin.has_host() {
            return Err(wrong("its origin is more than scheme, host and port"));
        }
        Ok(Self { of: Some(origin.origin().ascii_serialization()), at })
    }
}

/// What stands before an `@` may be a password.
fn without_password(text: &str) -> String {
    if text.contains('@') { "the given text".to_owned() } else { text.to_owned() }
}

/// All mirrors; without any, everything is where it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    of: BTreeMap<String, Url>,
    of_any: Option<Url>,
}

impl FromIterator<Mirror> for Mirrors {
    /// Of two for one origin, the later one holds.
    fn from_iter<I: IntoIterator<Item = Mirror>>(mirrors: I) -> Self {
        let mut all = Self::default();
        for mirror in mirrors {
            match mirror.of {
                Some(origin) => drop(all.of.insert(origin, mirror.at)),
                None => all.of_any = Some(mirror.at),
            }
        }
        all
    }
}

impl Mirrors {
    /// Where to ask for a URL. What is on this machine is only looked for elsewhere if its very origin has a mirror.
    #[must_use]
    pub fn place(&self, url: &Url) -> Url {
        let path = url.path();
        let (at, below) = match (self.of.get(&url.origin().ascii_serialization()), &self.of_any) {
            (Some(at), _) => (at, path.to_owned()),
            (None, Some(at)) if !is_local(url) => (at, format!("/{}{path}", authority(url))),
            (None, _) => return url.clone(),
        };
        let mut place = at.clone();
        place.set_path(&format!("{}{below}", at.path().trim_end_matches('/')));
        place.set_query(url.query());
        place
    }
}

/// Host and, where it is not the scheme's own, port.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(mirrors: &[&str], url: &str) -> String {
        let mirrors: Mirrors = mirrors.iter().map(|text| text.parse::<Mirror>().unwrap()).collect();
        mirrors.place(&url.parse().unwrap()).to_string()
    }

    #[test]
    fn what_has_no_mirror_is_where_it_says() {
        assert_eq!(placed(&[], "https://charts.example/a?b=c"), "https://charts.example/a?b=c");
        let other = ["https://charts.example:8443=https://mirror.example"];
        assert_eq!(placed(&other, "https://charts.example/a"), "https://charts.example/a");
    }

    #[test]
    fn an_origins_own_mirror_comes_before_that_of_any() {
        let mirrors = ["*=http://127.0.0.1:80/all/", "https://charts.example=https://mirror.example/charts/"];
        assert_eq!(placed(&mirrors, "https://charts.example/a/b?c=d"), "https://mirror.example/charts/a/b?c=d");
        assert_eq!(placed(&mirrors, "https://other.example/a"), "http://127.0.0.1/all/other.example/a");
        assert_eq!(placed(&mirrors, "https://other.example:5000/a"), "http://127.0.0.1/all/other.example:5000/a");
        assert_eq!(placed(&mirrors, "http://127.0.0.1:9/a"), "http://127.0.0.1:9/a");
    }

    #[test]
    fn what_is_no_mirror_is_refused_without_showing_a_password() {
        for text in [
            "",
            "*",
            "*=mirror",
            "*=http://mirror.example",
            "https://a.example/path=https://m.example",
            "a=https://m",
            "*=https://me:hunter2@m.example",
            "*=https://m.example?token=x",
        ] {
            let error = text.parse::<Mirror>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

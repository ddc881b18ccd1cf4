//! Flows in words, as `helix policy matrix` prints them, and parties, as `helix policy check` reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Flow, Lookups, Node, Party, Pods, Ports, Ranges, Source, Target};

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        pods(f, &self.namespace, &self.labels)
    }
}

fn pods(f: &mut fmt::Formatter<'_>, namespace: &str, labels: &BTreeMap<String, String>) -> fmt::Result {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    write!(f, "{namespace}/{}", labels.join(","))
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, usual) = self.without_usual();
        match usual {
            true => f.write_str(Party::INTERNET)?,
            false => write!(f, "{}", self.range())?,
        }
        if range.is_empty() { Ok(()) } else { write!(f, " but {}", listed(&range)) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods(pods) => pods.fmt(f),
            Self::EveryPod { but } if but.is_empty() => f.write_str("every pod"),
            Self::EveryPod { but } => write!(f, "every pod but of {}", listed(but)),
            Self::Nodes => f.write_str("machines"),
            Self::OwnNode => f.write_str("the pod's own machine"),
            Self::Ranges(ranges) => ranges.fmt(f),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods(pods) => pods.fmt(f),
            Self::EveryPod => f.write_str("every pod"),
            Self::Nodes => f.write_str("machines"),
            Self::ApiServer => f.write_str("Kubernetes API"),
            Self::Ranges(ranges) => ranges.fmt(f),
            Self::Names(names) => f.write_str(&listed(names)),
            Self::Resolver(Lookups::Any) => f.write_str("cluster DNS"),
            Self::Resolver(Lookups::Only(names)) => write!(f, "cluster DNS for {}", listed(names)),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any port"),
            Self::Only(ports) => f.write_str(&listed(ports)),
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { namespace, labels } => pods(f, namespace, labels),
            Self::Node(node) => node.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Internet => f.write_str(Self::INTERNET),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} on {}: {}", self.from, self.to, self.ports, self.because)
    }
}

fn listed<'a, T: fmt::Display + Ord + 'a>(items: impl IntoIterator<Item = &'a T>) -> String {
    let items: BTreeSet<&T> = items.into_iter().collect();
    items.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::NamePattern;

    #[test]
    fn a_flow_reads_as_a_line() {
        let name = NamePattern::parse("api.stripe.com").unwrap();
        let from = Pods::of("shop").with("app", "web");
        let flow = Flow::new(from, name, Ports::tcp([443, 80]), "the shop charges cards");
        assert_eq!(flow.to_string(), "shop/app=web -> api.stripe.com on 80/TCP, 443/TCP: the shop charges cards");
        let internet = Flow::new(Source::EveryPod { but: ["a".into()].into() }, Ranges::internet(&[]), Ports::Any, "x");
        assert_eq!(internet.to_string(), "every pod but of a -> internet on any port: x");
        let but_own = Ranges::internet(&["100.64.0.0/16".parse().unwrap()]);
        assert_eq!(but_own.to_string(), "internet but 100.64.0.0/16");
        let all = Ranges::new("0.0.0.0/0".parse().unwrap(), []).unwrap();
        assert_eq!(all.to_string(), "0.0.0.0/0 but 169.254.169.254/32");
    }
}

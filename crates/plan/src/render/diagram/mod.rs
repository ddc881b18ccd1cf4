//! A platform as a Mermaid flowchart: its network with machines and ways in, and its phases with what they make.
//!
//! Pure and deterministic: the same platform gives the same text, byte for byte. What is wanted is drawn; with what was
//! [`Seen`] it is coloured, in words, too. Layout and pictures are Mermaid's.

mod machines;
mod network;
mod phases;
mod seen;
#[cfg(test)]
mod tests;
mod text;

pub use seen::{Mark, Seen};

use crate::validated::ValidatedPlatform;
use text::{Chart, Way};

/// How many of a kind are drawn one by one; more are drawn as one, with their number.
const MOST_DRAWN: u32 = 12;

/// Which part of a platform is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Machines, network, load balancer, domains and mesh.
    Network,
    /// The phases with what they make.
    Phases,
    /// Both, in one picture.
    All,
}

/// A platform as the text of a Mermaid flowchart, coloured by what was seen where something was looked at.
#[must_use]
pub fn diagram(platform: &ValidatedPlatform, view: View, seen: Option<&Seen>) -> String {
    let name = platform.identity.display_name();
    let what = match view {
        View::Network => "Network",
        View::Phases => "Phases",
        View::All => "Network and phases",
    };
    let way = if view == View::Phases { Way::Right } else { Way::Down };
    let mut chart = Chart::new(way, &format!("{what} of {name}"), &description(platform, view, seen.is_some()));
    match view {
        View::Network => network::draw(&mut chart, platform, seen),
        View::Phases => phases::draw(&mut chart, platform, seen),
        View::All => {
            let above = chart.group("Network", |chart| {
                chart.direction(Way::Down);
                network::draw(chart, platform, seen);
            });
            let below = chart.group("Phases", |chart| {
                chart.direction(Way::Right);
                phases::draw(chart, platform, seen);
            });
            chart.below(above, below);
        }
    }
    chart.finish()
}

/// What the picture shows, for whoever does not see it.
fn description(platform: &ValidatedPlatform, view: View, live: bool) -> String {
    let pools: Vec<&str> = platform.pools().map(|pool| pool.name.as_str()).collect();
    let machines = format!("Machines: {}, in the pools {}", platform.machines(), pools.join(", "));
    let components = format!("Components: {}, up to phase {}", platform.components.len(), platform.until);
    let what = match view {
        View::Network => machines,
        View::Phases => components,
        View::All => format!("{machines}. {components}"),
    };
    let how = if live { "as it was last seen" } else { "as it is specified" };
    format!("{what}. Drawn {how}.")
}

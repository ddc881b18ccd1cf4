//! The first page: how the platform is, as it was observed. What was not observed is said, never filled in.

use std::fmt;

use helix_crds::PhaseName;
use maud::{Markup, html};

use super::badge::Badge;
use super::charts;
use super::inputs::Inputs;
use super::page::{Page, Section};

/// The page.
pub(super) fn page(inputs: &Inputs) -> String {
    let content = html! {
        h1 { "Status" }
        (summary(inputs))
        (phases(inputs))
        (measures(inputs))
        (history(inputs))
        (further(inputs))
    };
    let description = "How the platform is: its phases, what was measured, and how that changed.";
    let path = Section::Status.page();
    Page { path, title: "Status", description, section: Section::Status, content }.render()
}

fn summary(inputs: &Inputs) -> Markup {
    let lacking = inputs.badges.iter().filter(|badge| badge.content.is_error).count();
    let all = inputs.badges.len();
    html! {
        @if all == 0 {
            p.notice { "Nothing is observed yet: no badges in this checkout. " code { "cargo xtask badges" } " writes them." }
        } @else {
            p.lead {
                (all - lacking) " of " (Count(all, "measure")) " observed"
                @if lacking > 0 { "; " (lacking) " unknown or too old to be relied on" }
                "."
            }
        }
        @if let Some(about) = &inputs.about {
            p {
                @match &about.platform {
                    Some(platform) => { "Platform " strong { (platform) } ", observed " },
                    None => "Observed ",
                }
                time datetime=(about.at) { (charts::moment(about.at)) } ". "
                @if let Some(note) = &about.note { (note) }
            }
        }
        @if inputs.documents.contains_key("STATUS.md") {
            p { "Where each comes from, its evidence and its age: " a href="STATUS.html" { "status in detail" } "." }
        }
    }
}

/// A number of things.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(1, thing) => write!(formatter, "1 {thing}"),
            Self(number, thing) => write!(formatter, "{number} {thing}s"),
        }
    }
}

impl maud::Render for Count {
    fn render_to(&self, buffer: &mut String) {
        maud::Render::render_to(&self.to_string(), buffer);
    }
}

/// What a phase makes, in a line.
fn makes(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::HardenedCore => "Keys, network, firewalls, load balancer, machine image",
        PhaseName::ImmutableSubstrate => "Machines, etcd, nodes, and the way in",
        PhaseName::SecurityWeave => "Default-deny network, mesh, ingress, single sign-on",
        PhaseName::GitOpsControlPlane => "Argo CD, and the tree in your repository",
        PhaseName::StateAndDataHa => "Volumes, PostgreSQL, Redis, backups",
        PhaseName::AiAgentic => "Models, agents, a browser behind an allow-list",
    }
}

/// The phase's badge: its slug is the phase's name in lower case, however words are divided.
fn badge_of(inputs: &Inputs, phase: PhaseName) -> Option<&Badge> {
    let plain = |slug: &str| slug.replace('_', "");
    inputs.badges.iter().find(|badge| plain(&badge.slug) == phase.as_str().to_lowercase())
}

fn phases(inputs: &Inputs) -> Markup {
    html! {
        section {
            h2 id="phases" { "Phases" }
            div.scroll tabindex="0" role="region" aria-labelledby="phases" {
                table.phases {
                    thead { tr {
                        th scope="col" { "Phase" } th scope="col" { "State" } th scope="col" { "Makes" }
                    } }
                    tbody { @for (number, phase) in (1..).zip(PhaseName::ALL) {
                        tr {
                            th scope="row" { span.number { (number) } (phase.as_str()) }
                            td { @match badge_of(inputs, phase) {
                                Some(badge) => (state(badge)),
                                None => span.unobserved { "not observed" },
                            } }
                            td { (makes(phase)) }
                        }
                    } }
                }
            }
        }
    }
}

/// What a phase's badge says, without the phase's name again.
fn state(badge: &Badge) -> Markup {
    let tone = match badge.content.color.as_deref().unwrap_or_default() {
        "brightgreen" | "green" | "yellowgreen" | "success" => "good",
        "yellow" | "orange" | "important" => "fair",
        "red" | "critical" => "bad",
        _ => "plain",
    };
    html! {
        a.state href={"metrics/" (badge.slug) ".json"} data-tone=(tone) { (badge.content.message) }
    }
}

fn picture(badge: &Badge) -> Markup {
    html! {
        a.badge href={"metrics/" (badge.slug) ".json"} {
            img.badge src={"metrics/" (badge.slug) ".svg"} alt=(badge.spoken()) height="20";
        }
    }
}

fn measures(inputs: &Inputs) -> Markup {
    let (lacking, known): (Vec<&Badge>, Vec<&Badge>) = inputs.badges.iter().partition(|badge| badge.content.is_error);
    html! {
        @if !known.is_empty() || !lacking.is_empty() {
            section {
                h2 id="measures" { "Measures" }
                p { "Each badge leads to its value as JSON, in the format that Shields reads." }
                @if !known.is_empty() { (row(&known)) }
                @if !lacking.is_empty() {
                    h3 { "Not observed, or too old" }
                    (row(&lacking))
                }
            }
        }
    }
}

fn row(badges: &[&Badge]) -> Markup {
    html! { ul.badges { @for badge in badges { li { (picture(badge)) } } } }
}

fn history(inputs: &Inputs) -> Markup {
    html! {
        section {
            h2 id="history" { "History" }
            @if inputs.history.is_empty() {
                p.notice { "No history is kept yet: it grows by a line with each run of " code { "cargo xtask badges" } "." }
            } @else {
                div.charts { @for series in &inputs.history {
                    (charts::figure(series, inputs.badge(&series.slug).map_or(&series.slug, |badge| &badge.content.label)))
                } }
                p { "All values: " a href="metrics/history.jsonl" { code { "history.jsonl" } } "." }
            }
        }
    }
}

fn further(inputs: &Inputs) -> Markup {
    html! {
        section {
            h2 id="further" { "Further" }
            ul.further {
                li { a href=(Section::Diagrams.page()) { "Diagrams" } ": " (Count(inputs.diagrams.len(), "picture")) " of how it is built" }
                li { a href=(Section::Documents.page()) { "Documents" } ": " (Count(inputs.documents.len(), "page")) ", from a first start to the runbooks" }
                @if inputs.documents.contains_key("ROADMAP.md") {
                    li { a href="ROADMAP.html" { "Roadmap" } ": what comes next, and what does not" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_observed_is_said() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("metrics")).unwrap();
        let file = |name: &str, text: &str| std::fs::write(root.path().join("metrics").join(name), text).unwrap();
        file("alerts.json", r#"{"schemaVersion":1,"label":"alerts","message":"unknown","isError":true}"#);
        file("gitops_control_plane.json", r#"{"schemaVersion":1,"label":"GitOps","message":"Ready"}"#);
        let page = page(&Inputs::read(root.path()).unwrap());
        assert!(page.contains("1 of 2 measures observed; 1 unknown"), "{page}");
        assert_eq!(page.matches("not observed</span>").count(), 5, "{page}");
        assert!(page.contains("Not observed, or too old"), "{page}");
    }
}

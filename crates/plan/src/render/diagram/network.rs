//! Who reaches what, and by which way: the API, the admin ports, the mesh, the domains, and what pods may do beyond.

use std::collections::BTreeMap;

use helix_crds::{IngressAuth, IngressDomain, PhaseName};

use super::seen::{Mark, Seen};
use super::text::{Chart, Handle, Label, Shape};
use super::{MOST_DRAWN, machines};
use crate::components::Component;
use crate::phases::firewall::{KUBERNETES_PORT, TALOS_PORT};
use crate::policy::{Source, Target};
use crate::validated::{Endpoint, ValidatedPlatform};

/// Ranges and names that are written out in one label.
const MOST_LISTED: usize = 4;

/// What a part of the network is drawn by: the platform, and how it was seen.
struct Scene<'a> {
    platform: &'a ValidatedPlatform,
    seen: Option<&'a Seen>,
}

/// What others lead to.
struct Ends {
    network: Handle,
    control_planes: Vec<Handle>,
    traefik: Option<Handle>,
    mesh: Option<Handle>,
}

/// Draws the network of a platform.
pub(super) fn draw(chart: &mut Chart, platform: &ValidatedPlatform, seen: Option<&Seen>) {
    let scene = Scene { platform, seen };
    let ends = scene.inside(chart);
    scene.api(chart, &ends);
    scene.admin_ports(chart, &ends);
    scene.ways_in(chart, &ends);
    scene.backups(chart, &ends);
}

impl Scene<'_> {
    /// How the phase was seen that makes something; `None` where nothing is to be coloured.
    fn mark(&self, phase: PhaseName) -> Option<Mark> {
        self.seen.map(|seen| seen.phase(phase).mark)
    }

    fn has(&self, component: Component) -> bool {
        self.platform.component(component).is_some()
    }

    /// The network with its machines, and the cluster on them.
    fn inside(&self, chart: &mut Chart) -> Ends {
        let network = &self.platform.network;
        let title = format!("Network {} in {}, machines in {}", network.cidr, network.zone, network.subnet);
        let mut control_planes = Vec::new();
        let group = chart.group(title, |chart| {
            control_planes = machines::draw(chart, self.platform, self.seen);
        });
        let (mut traefik, mut mesh) = (None, None);
        if self.platform.until >= PhaseName::SecurityWeave {
            let (mut ways, mut other) = (Vec::new(), None);
            chart.group("Cluster", |chart| {
                (traefik, mesh) = (self.ingress(chart), self.mesh(chart));
                ways = self.pods(chart);
                let pods = Label::of("Pods on any other way").and(format!("of {}", network.pods));
                let pods = pods.and(format!("Services of {}", network.services));
                other = Some(chart.node(Shape::Thing, &pods, None));
            });
            self.beyond(chart, ways, other);
        }
        Ends { network: group, control_planes, traefik, mesh }
    }

    /// Traefik, and what it leads to.
    fn ingress(&self, chart: &mut Chart) -> Option<Handle> {
        self.has(Component::Traefik).then_some(())?;
        let weave = self.mark(PhaseName::SecurityWeave);
        let zone = self.platform.dns.zone.as_ref().map_or(String::new(), |zone| format!("records in zone {zone}"));
        let traefik = chart.node(Shape::Guard, &Label::of("Traefik: ingress").and(zone), weave);
        let layers = &self.platform.layers;
        if let (true, Some(authentik)) = (self.has(Component::Authentik), &layers.authentik) {
            let node = chart.node(Shape::Thing, &Label::of("Authentik: sign-on"), weave);
            chart.edge(traefik, node, &Label::of(&authentik.host));
        }
        let argocd = layers.argocd().and_then(|argocd| argocd.host.as_ref());
        if let (true, Some(host)) = (self.has(Component::ArgoCd), argocd) {
            let node = chart.node(Shape::Thing, &Label::of("Argo CD"), self.mark(PhaseName::GitOpsControlPlane));
            chart.edge(traefik, node, &Label::of(host));
        }
        self.domains(chart, traefik, layers.domains.as_deref().unwrap_or_default());
        Some(traefik)
    }

    /// The user's domains, each with who may come in.
    fn domains(&self, chart: &mut Chart, traefik: Handle, domains: &[IngressDomain]) {
        let most = MOST_DRAWN as usize;
        let mut services: BTreeMap<String, Handle> = BTreeMap::new();
        for domain in domains.iter().take(most) {
            let service = &domain.service;
            let name = format!("Service {}/{} port {}", service.namespace, service.name, service.port);
            let node =
                *services.entry(name.clone()).or_insert_with(|| chart.node(Shape::Thing, &Label::of(name), None));
            let auth = match domain.auth {
                IngressAuth::ForwardAuth => "signed on (ForwardAuth)",
                IngressAuth::None => "anybody (no sign-on)",
            };
            let label = Label::of(&domain.host).and(auth).and(format!("certificate by {}", domain.issuer));
            chart.edge(traefik, node, &label);
        }
        if domains.len() > most {
            let more = chart.node(Shape::Thing, &Label::of(format!("and {} more domains", domains.len() - most)), None);
            chart.edge(traefik, more, &Label::default());
        }
    }

    fn mesh(&self, chart: &mut Chart) -> Option<Handle> {
        let mesh = self.platform.mesh.as_ref()?;
        let label = Label::of("NetBird: routing peers").and(format!("managed at {}", mesh.url));
        Some(chart.node(Shape::Guard, &label, self.mark(PhaseName::SecurityWeave)))
    }

    /// The ends of the user's flows that are pods, and the ways between them; gives back those that lead outside.
    fn pods(&self, chart: &mut Chart) -> Vec<Flow> {
        let flows = &self.platform.layers.allowed;
        let most = MOST_DRAWN as usize;
        let mut pods: BTreeMap<String, Handle> = BTreeMap::new();
        let mut outside = Vec::new();
        for flow in flows.iter().take(most) {
            let mut node = |chart: &mut Chart, name: String| {
                *pods
                    .entry(name.clone())
                    .or_insert_with(|| chart.node(Shape::Thing, &Label::of(format!("Pods {name}")), None))
            };
            let (from, to, ports) = (flow.from.to_string(), flow.to.to_string(), flow.ports.to_string());
            match (&flow.from, &flow.to) {
                (Source::Ranges(_), _) => {
                    outside.push(Flow { pods: node(chart, to), outside: from, ports, inward: true })
                }
                (_, Target::Ranges(_) | Target::Names(_)) => {
                    outside.push(Flow { pods: node(chart, from), outside: to, ports, inward: false });
                }
                _ => {
                    let (from, to) = (node(chart, from), node(chart, to));
                    chart.edge(from, to, &Label::of(ports));
                }
            }
        }
        if flows.len() > most {
            chart.node(Shape::Thing, &Label::of(format!("and {} more allowed flows", flows.len() - most)), None);
        }
        if let (true, Some(names)) = (self.has(Component::SteelBrowser), &self.platform.layers.browser) {
            let browser = chart.node(Shape::Thing, &Label::of("Steel Browser"), self.mark(PhaseName::AiAgentic));
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            outside.push(Flow {
                pods: browser,
                outside: listed(&names),
                ports: "egressAllow".to_owned(),
                inward: false,
            });
        }
        outside
    }

    /// Ways between pods and the outside, and that there are no others.
    fn beyond(&self, chart: &mut Chart, ways: Vec<Flow>, other: Option<Handle>) {
        let mut nodes: BTreeMap<String, Handle> = BTreeMap::new();
        for way in ways {
            let name = way.outside.clone();
            let node = *nodes.entry(name.clone()).or_insert_with(|| chart.node(Shape::Outside, &Label::of(name), None));
            let (from, to) = if way.inward { (node, way.pods) } else { (way.pods, node) };
            chart.edge(from, to, &Label::of(way.ports));
        }
        if let Some(other) = other {
            let world = chart.node(Shape::Outside, &Label::of("Internet, other pods, machines"), None);
            chart.denied(other, world, &Label::of("denied by default"));
        }
    }

    /// How the Kubernetes API is reached.
    fn api(&self, chart: &mut Chart, ends: &Ends) {
        let core = self.mark(PhaseName::HardenedCore);
        let port = KUBERNETES_PORT;
        let clients = |chart: &mut Chart| chart.node(Shape::Outside, &Label::of("Whoever has a kubeconfig"), None);
        match &self.platform.endpoint {
            Endpoint::LoadBalancer { public } => {
                let name = self.platform.identity.load_balancer_name();
                let reach = if *public { "reached by the world" } else { "private interface only" };
                let label = Label::of(format!("Load balancer {name}")).and("Kubernetes API").and(reach);
                let balancer = chart.node(Shape::Guard, &label, core);
                if *public {
                    let clients = clients(chart);
                    chart.edge(clients, balancer, &Label::of(format!("port {port}")));
                } else if let Some(mesh) = ends.mesh {
                    chart.edge(mesh, balancer, &Label::of(format!("port {port}")));
                }
                for group in &ends.control_planes {
                    chart.edge(balancer, *group, &Label::of(format!("port {port}")));
                }
            }
            Endpoint::Dns { host } => {
                let clients = clients(chart);
                for group in &ends.control_planes {
                    chart.edge(clients, *group, &Label::of(host).and(format!("port {port}")));
                }
            }
        }
    }

    /// The firewall, and whom it lets at the admin ports.
    fn admin_ports(&self, chart: &mut Chart, ends: &Ends) {
        let name = self.platform.identity.base_name();
        let label = Label::of(format!("Firewall {name}")).and("nothing else comes in from outside");
        let firewall = chart.node(Shape::Guard, &label, self.mark(PhaseName::HardenedCore));
        let ports = format!("ports {KUBERNETES_PORT}, {TALOS_PORT}");
        let administrators = Label::of("Administrators").and(listed(&self.platform.api_allowlist));
        let administrators = chart.node(Shape::Outside, &administrators, None);
        let until = if self.platform.ports.close { "until the mesh is another way in" } else { "" };
        chart.edge(administrators, firewall, &Label::of(&ports).and(until));
        if !self.platform.ports.egress.is_empty() {
            let helix = Label::of("Helix itself").and(listed(&self.platform.ports.egress));
            let helix = chart.node(Shape::Outside, &helix, None);
            chart.edge(helix, firewall, &Label::of(&ports));
        }
        chart.edge(firewall, ends.network, &Label::default());
    }

    /// Visitors, and people of the mesh.
    fn ways_in(&self, chart: &mut Chart, ends: &Ends) {
        if let Some(traefik) = ends.traefik {
            let visitors = chart.node(Shape::Outside, &Label::of("Visitors"), None);
            let label = Label::of(format!("Load balancer {}-ingress", self.platform.identity.name));
            let balancer = chart.node(Shape::Guard, &label, self.mark(PhaseName::SecurityWeave));
            chart.edge(visitors, balancer, &Label::of("ports 80, 443"));
            chart.edge(balancer, traefik, &Label::default());
        }
        if let Some(mesh) = ends.mesh {
            let people = chart.node(Shape::Outside, &Label::of("People of the mesh"), None);
            chart.edge(people, mesh, &Label::of("WireGuard"));
            chart.edge(mesh, ends.network, &Label::default());
        }
    }

    /// Where snapshots of etcd go.
    fn backups(&self, chart: &mut Chart, ends: &Ends) {
        let (Some(backup), Some(from)) = (&self.platform.backup, ends.control_planes.first()) else { return };
        let bucket = chart.node(Shape::Store, &Label::of(format!("Bucket {}", backup.bucket.name)), None);
        chart.edge(*from, bucket, &Label::of("snapshots of etcd"));
    }
}

/// A flow between pods and somebody outside.
struct Flow {
    pods: Handle,
    outside: String,
    ports: String,
    /// Whether the pods are the ones that are called.
    inward: bool,
}

/// The first of many, and how many more there are.
fn listed(all: &[String]) -> String {
    let first = all.iter().take(MOST_LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

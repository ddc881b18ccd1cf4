//! The tree of the full example: what is in it, what must not be, and what becomes of what others write there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Changes, Found, MARKER, Marker, Tree, TreeError, digest};
use crate::components::{self, Component, wanted};
use crate::reference;
use crate::validated::Layers;

fn layers() -> Layers {
    let text = include_str!("../../../../manifests/examples/full.yaml");
    Layers::new(&serde_saphyr::from_str(text).unwrap()).unwrap()
}

/// What every component has of its own, as if no chart rendered anything.
fn manifests(layers: &Layers) -> BTreeMap<Component, Vec<Value>> {
    wanted(layers).into_iter().map(|found| (found.component, components::manifests(&found, &[]))).collect()
}

fn tree() -> Tree {
    let layers = layers();
    Tree::new(&layers, &manifests(&layers)).unwrap()
}

fn yaml(tree: &Tree, path: &str) -> Value {
    reference::yaml(std::str::from_utf8(&tree.files()[path]).unwrap())
}

/// The place of a tree after its changes were made.
fn written(tree: &Tree, found: &Found) -> Found {
    let changes = tree.changes(found);
    let mut files = found.files.clone();
    files.retain(|path, _| !changes.remove.contains(path));
    files.extend(changes.write.iter().map(|path| (path.clone(), digest(&tree.files()[path]))));
    Found { marker: Some(tree.marker(found)), files }
}

#[test]
fn two_trees_of_one_platform_are_the_same_to_the_byte() {
    assert_eq!(tree(), tree());
    let mut other = layers();
    other.machines = 1;
    assert_ne!(Tree::new(&other, &manifests(&other)).unwrap().digest(), tree().digest());
}

#[test]
fn every_component_has_its_folder_under_its_phase_and_an_application_that_leads_there() {
    let tree = tree();
    for found in wanted(&layers()) {
        let application = yaml(&tree, &format!("applications/{}.yaml", found.component));
        let path = application["spec"]["source"]["path"].as_str().unwrap();
        let folder = path.strip_prefix("clusters/prod/").unwrap();
        assert!(folder.ends_with(&format!("/{}", found.component)), "{folder}");
        let filled = tree.files().keys().any(|path| path.starts_with(&format!("{folder}/")));
        assert!(filled || found.resources.is_empty(), "{folder} is empty");
    }
    let deny = "3-security-weave/cilium/ciliumclusterwidenetworkpolicy.cilium.io-helix-default-deny.yaml";
    assert!(tree.files().contains_key(deny));
    assert!(tree.files().contains_key("values/traefik.yaml"));
}

#[test]
fn what_helix_writes_itself_is_shown_and_what_comes_later_is_synced_in_turn() {
    let tree = tree();
    let application = |name: &str| yaml(&tree, &format!("applications/{name}.yaml"));
    let mut last = 0;
    let wanted = wanted(&layers());
    let own = wanted.iter().position(|found| found.component == Component::ArgoCd).unwrap();
    for (position, found) in wanted.iter().enumerate() {
        let application = application(found.component.name());
        let automated = application["spec"]["syncPolicy"]["automated"].is_object();
        assert_eq!(automated, position > own, "{}", found.component);
        if automated {
            let wave = application["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().unwrap();
            let wave = wave.parse().unwrap();
            assert!(wave > last, "{} comes before what it is after", found.component);
            last = wave;
        }
    }
    assert!(last > 0);
}

#[test]
fn what_holds_data_is_never_pruned() {
    let tree = tree();
    let options = |path: &str| yaml(&tree, path)["metadata"]["annotations"]["argocd.argoproj.io/sync-options"].clone();
    let clusters: Vec<&String> = tree.files().keys().filter(|path| path.contains("cluster.postgresql")).collect();
    assert!(!clusters.is_empty());
    let namespaces = tree.files().keys().filter(|path| path.contains("/namespace-"));
    for path in namespaces.chain(clusters) {
        assert_eq!(options(path), "Prune=false,Delete=false", "{path}");
    }
}

#[test]
fn no_secret_and_no_private_key_gets_into_a_tree() {
    let layers = layers();
    let with = |object: Value| {
        let mut manifests = manifests(&layers);
        manifests.get_mut(&Component::Ollama).unwrap().push(object);
        Tree::new(&layers, &manifests)
    };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "ollama"}});
    assert!(matches!(with(secret.clone()), Err(TreeError::Secret { component: Component::Ollama, .. })));
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"name": "l"}, "items": [secret]});
    assert!(matches!(with(list), Err(TreeError::Secret { .. })));
    let key = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"key": key}});
    assert!(matches!(with(map), Err(TreeError::PrivateKey { .. })));
    let tree = tree();
    assert_eq!(tree.leak(["ghcr.io/acme/agents"].into_iter()).unwrap(), "values/langgraph.yaml");
    assert_eq!(tree.leak(["", "correct horse"].into_iter()), None);
}

#[test]
fn without_a_repository_there_is_no_tree() {
    let mut layers = layers();
    layers.gitops.as_mut().unwrap().repository = None;
    assert_eq!(Tree::new(&layers, &manifests(&layers)), Err(TreeError::NoRepository));
}

#[test]
fn a_tree_that_is_there_needs_nothing_and_its_own_stale_files_go() {
    let tree = tree();
    let found = written(&tree, &Found::default());
    assert!(tree.changes(&found).are_none());
    let mut less = layers();
    less.ollama = None;
    let less = Tree::new(&less, &manifests(&less)).unwrap();
    let changes = less.changes(&found);
    assert!(changes.remove.contains("applications/ollama.yaml") && changes.foreign.is_empty());
    assert!(less.changes(&written(&less, &found)).are_none());
}

#[test]
fn what_others_made_or_changed_is_neither_written_over_nor_removed() {
    let tree = tree();
    let path = "applications/ollama.yaml";
    let theirs = |marker| Found { marker, files: BTreeMap::from([(path.to_owned(), digest(b"theirs"))]) };
    let only = BTreeSet::from([path.to_owned()]);
    assert_eq!(tree.changes(&theirs(None)).foreign, only);
    let found = written(&tree, &Found::default());
    assert_eq!(tree.changes(&theirs(found.marker.clone())).foreign, only);
    let mut less = layers();
    less.ollama = None;
    let less = Tree::new(&less, &manifests(&less)).unwrap();
    let mut changed = found.clone();
    changed.files.insert(path.to_owned(), digest(b"theirs"));
    assert_eq!(less.changes(&changed).foreign, only);
    // Somebody took it away: nothing is lost by writing it again.
    let mut without = found;
    without.files.remove(path);
    assert_eq!(tree.changes(&without), Changes { write: only, ..Changes::default() });
}

#[test]
fn what_cannot_be_rendered_now_keeps_the_files_that_it_has() {
    let layers = layers();
    let found = written(&tree(), &Found::default());
    let mut manifests = manifests(&layers);
    manifests.remove(&Component::Longhorn);
    let tree = Tree::new(&layers, &manifests).unwrap();
    assert!(!tree.files().keys().any(|path| path.contains("longhorn/")));
    assert!(tree.changes(&found).are_none());
    assert_eq!(tree.marker(&found), found.marker.unwrap());
}

#[test]
fn a_marker_that_leads_out_of_the_tree_is_refused() {
    let read =
        |path: &str| Marker::read(json!({"note": "", "platform": "p", "files": {path: ""}}).to_string().as_bytes());
    assert!(read("applications/ollama.yaml").is_ok());
    for path in ["../x", "/etc/passwd", "a//b", ".git/config", ""] {
        assert!(read(path).unwrap_err().to_string().contains(MARKER), "{path}");
    }
    let marker = tree().marker(&Found::default());
    assert_eq!(Marker::read(&marker.bytes()), Ok(marker));
}

//! The platform's document, made to mean the simulators and nothing else.
//!
//! What a platform may be is not judged here: the API server and the operator do that, as they would anywhere.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::Error;
use crate::sandbox::simulator::ObjectStorage;

/// Where the platform's namespace comes from when the document names none; it is the operator's own, too.
pub(crate) const NAMESPACE: &str = "helix-system";

/// From where the operator, kubectl and talosctl call in a sandbox.
const LOOPBACK: &str = "127.0.0.0/8";

/// A platform to be applied.
#[derive(Debug)]
pub(crate) struct Platform {
    document: Value,
}

impl Platform {
    /// Reads a file that holds one `HelixPlatform` and points it at the simulated API at `endpoint`, whatever endpoint
    /// it named, and its backups of etcd at the simulated bucket, so that a sandbox never touches a real project; lets loopback through its allow-list, or else nobody
    /// on this machine would reach its machines.
    ///
    /// # Errors
    /// [`Error::File`] without the file, [`Error::Content`] when it holds something else.
    pub(crate) fn read(path: &Path, endpoint: &str, store: &ObjectStorage) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
        Self::parse(&text, endpoint, store).map_err(|problem| Error::Content { path: path.to_owned(), problem })
    }

    fn parse(text: &str, endpoint: &str, store: &ObjectStorage) -> Result<Self, String> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let mut document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            format!("it is not one YAML document ({error}); write a single HelixPlatform, as manifests/examples/sandbox.yaml is")
        })?;
        if document["kind"] != "HelixPlatform" {
            return Err(format!("its kind is {}; write a HelixPlatform", document["kind"]));
        }
        if !document["metadata"]["name"].is_string() {
            return Err("it has no metadata.name; write one".to_owned());
        }
        if document["metadata"]["namespace"].is_null() {
            document["metadata"]["namespace"] = json!(NAMESPACE);
        }
        let Some(hetzner) = document.pointer_mut("/spec/provider/hetzner").filter(|value| value.is_object()) else {
            return Err("it has no spec.provider.hetzner; write one: a sandbox simulates Hetzner".to_owned());
        };
        hetzner["endpoint"] = json!(endpoint);
        for field in ["apiAllowlist", "operatorEgress"] {
            // Where it is missing it stays so: indexing would write a null.
            let allowed = hetzner.get_mut(field).and_then(Value::as_array_mut);
            if let Some(allowed) = allowed.filter(|allowed| !allowed.contains(&json!(LOOPBACK))) {
                allowed.push(json!(LOOPBACK));
            }
        }
        if let Some(bucket) = document.pointer_mut("/spec/backup/etcd/s3").filter(|value| value.is_object()) {
            bucket["endpoint"] = json!(store.endpoint);
            bucket["bucket"] = json!(store.bucket);
        }
        Ok(Self { document })
    }

    /// The same platform under another name and of another size, the workers in its first pool.
    pub(crate) fn resized(&self, name: &str, control_planes: u32, workers: u32) -> Self {
        let mut document = self.document.clone();
        document["metadata"]["name"] = json!(name);
        document["spec"]["controlPlane"]["replicas"] = json!(control_planes);
        if let Some(pool) = document.pointer_mut("/spec/workerPools/0") {
            pool["replicas"] = json!(workers);
        }
        Self { document }
    }

    /// The document to be applied.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.document["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.document["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE)
    }

    /// The version of Kubernetes that it names, if it names one.
    pub(crate) fn kubernetes(&self) -> Option<&str> {
        self.document.pointer("/spec/versions/kubernetes")?.as_str()
    }

    /// The Secrets with the simulated project's token that the platform refers to.
    pub(crate) fn token_secrets(&self, token: &str) -> Vec<Value> {
        let hetzner = &self.document["spec"]["provider"]["hetzner"];
        let references = ["tokenSecretRef", "clusterTokenSecretRef"].map(|field| &hetzner[field]);
        let named = references.into_iter().filter_map(|reference| {
            let key = reference["key"].as_str().unwrap_or("token");
            Some((reference["name"].as_str()?, key))
        });
        named.map(|(name, key)| self.secret(name, json!({key: token}))).collect()
    }

    /// The Secret with the simulated bucket's key pair, where the platform refers to one.
    pub(crate) fn bucket_secret(&self, store: &ObjectStorage) -> Option<Value> {
        let name = self.document.pointer("/spec/backup/etcd/s3/credentialsSecretRef/name")?.as_str()?;
        let pair = json!({"accessKeyId": store.access_key_id, "secretAccessKey": store.secret_access_key});
        Some(self.secret(name, pair))
    }

    /// URL and branch of the platform's repository, if it names one.
    pub(crate) fn repository(&self) -> Option<(&str, &str)> {
        let repository = self.document.pointer("/spec/gitops/repository")?;
        Some((repository["url"].as_str()?, repository["branch"].as_str().unwrap_or("main")))
    }

    /// The Secret with credentials of the repository, where the platform refers to one. Those of a sandbox let everybody
    /// in.
    pub(crate) fn repository_secret(&self) -> Option<Value> {
        let name = self.document.pointer("/spec/gitops/repository/credentialsSecretRef/name")?.as_str()?;
        Some(self.secret(name, json!({"username": "sandbox", "password": "sandbox"})))
    }

    /// The other Secrets that the platform refers to, with what opens the simulated mesh and the simulated bucket; words
    /// where a real platform has a licence or a first password.
    pub(crate) fn users_secrets(&self, mesh_key: &str, store: &ObjectStorage) -> Vec<Value> {
        let at = |pointer: &str| self.document.pointer(pointer).cloned().unwrap_or_default();
        let one = |reference: &Value, value: &str| {
            let key = reference["key"].as_str().unwrap_or("token");
            Some(self.secret(reference["name"].as_str()?, json!({key: value})))
        };
        let first = at("/spec/securityWeave/authentik/bootstrapSecretRef");
        let first = first["name"].as_str().map(|name| {
            self.secret(name, json!({"password": "sandbox-first-password", "token": "sandbox-first-token"}))
        });
        let databases = at("/spec/data/postgres");
        let pair = json!({"accessKeyId": store.access_key_id, "secretAccessKey": store.secret_access_key});
        let stores = databases.as_array().into_iter().flatten().filter_map(|database| {
            let name = database.pointer("/backup/s3/credentialsSecretRef/name")?.as_str()?;
            Some(self.secret(name, pair.clone()))
        });
        let mesh = one(&at("/spec/securityWeave/netbird/apiKeySecretRef"), mesh_key);
        let licence = one(&at("/spec/ai/langgraph/licenseSecretRef"), "sandbox");
        [mesh, licence, first].into_iter().flatten().chain(stores).collect()
    }

    fn secret(&self, name: &str, data: Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace()},
            "stringData": data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: &str = "http://127.1.0.1:4000/v1";

    fn store() -> ObjectStorage {
        ObjectStorage {
            endpoint: "http://127.0.0.1:4001".to_owned(),
            bucket: "simulated".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "key".to_owned(),
        }
    }

    #[test]
    fn a_platform_means_the_simulator_whatever_endpoint_it_named() {
        let text = "kind: HelixPlatform\nmetadata: {name: prod}\nspec:\n  provider:\n    hetzner:\n      \
                    endpoint: https://api.hetzner.cloud/v1\n      tokenSecretRef: {name: hcloud, key: t}\n      \
                    apiAllowlist: [203.0.113.7/32]\n";
        let platform = Platform::parse(text, ENDPOINT, &store()).unwrap();
        assert_eq!((platform.name(), platform.namespace()), ("prod", NAMESPACE));
        let hetzner = &platform.document()["spec"]["provider"]["hetzner"];
        assert_eq!(hetzner["endpoint"], ENDPOINT);
        assert_eq!(hetzner["apiAllowlist"], json!(["203.0.113.7/32", LOOPBACK]));
        assert_eq!(hetzner.get("operatorEgress"), None);
        let secrets = platform.token_secrets("secret");
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0]["stringData"], json!({"t": "secret"}));
    }

    #[test]
    fn backups_go_to_the_simulated_bucket() {
        let path = format!("{}/../manifests/examples/full.yaml", env!("CARGO_MANIFEST_DIR"));
        let platform = Platform::read(Path::new(&path), ENDPOINT, &store()).unwrap();
        let s3 = &platform.document()["spec"]["backup"]["etcd"]["s3"];
        assert_eq!((&s3["endpoint"], &s3["bucket"]), (&json!("http://127.0.0.1:4001"), &json!("simulated")));
        let secret = platform.bucket_secret(&store()).unwrap();
        assert_eq!(secret["metadata"]["name"], "backup-s3");
        assert_eq!(secret["stringData"], json!({"accessKeyId": "id", "secretAccessKey": "key"}));
    }

    #[test]
    fn another_size_changes_name_and_replicas_alone() {
        let text = "kind: HelixPlatform\nmetadata: {name: a}\nspec:\n  provider: {hetzner: {}}\n  \
                    controlPlane: {replicas: 3}\n  workerPools: [{name: p, replicas: 2}]\n";
        let platform = Platform::parse(text, ENDPOINT, &store()).unwrap();
        let other = platform.resized("b", 1, 9);
        assert_eq!(other.name(), "b");
        assert_eq!(other.document()["spec"]["controlPlane"], json!({"replicas": 1}));
        assert_eq!(other.document()["spec"]["workerPools"], json!([{"name": "p", "replicas": 9}]));
        assert_eq!(other.document()["spec"]["provider"], platform.document()["spec"]["provider"]);
    }

    #[test]
    fn the_examples_are_platforms() {
        for example in ["sandbox", "minimal", "full", "every-field"] {
            let path = format!("{}/../manifests/examples/{example}.yaml", env!("CARGO_MANIFEST_DIR"));
            let platform = Platform::read(Path::new(&path), ENDPOINT, &store()).unwrap();
            assert!(!platform.token_secrets("secret").is_empty(), "{example}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused_with_what_to_write() {
        for (text, remedy) in [
            ("a: 1\n---\nb: 2\n", "a single HelixPlatform"),
            ("kind: Pod\nmetadata: {name: a}\n", "write a HelixPlatform"),
            ("kind: HelixPlatform\nspec: {}\n", "metadata.name"),
            ("kind: HelixPlatform\nmetadata: {name: a}\nspec: {}\n", "spec.provider.hetzner"),
        ] {
            let problem = Platform::parse(text, ENDPOINT, &store()).unwrap_err();
            assert!(problem.contains(remedy), "{problem}");
        }
    }
}

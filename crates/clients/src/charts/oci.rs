//! An OCI registry as a chart repository: the manifest of a tag, and the layer that is the archive. Registries that let
//! anybody read may still want a token, which they give to anybody.

use helix_engine::seams::ChartError;
use helix_plan::components::WantedChart;
use helix_plan::secrets::Secret;
use reqwest::Url;
use reqwest::header::WWW_AUTHENTICATE;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::repository::told;
use super::source::{Found, LARGEST_ARCHIVE, Source};
use super::web::{Answer, Ask, Web};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const ARCHIVE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// As much as registries themselves take for a manifest.
const LARGEST_DOCUMENT: usize = 4 << 20;

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

/// Fetches a chart's archive; `named` is the registry's host and the path to its charts.
pub(super) async fn fetch(web: &Web, chart: &WantedChart, named: &str) -> Result<Found, ChartError> {
    let source = Source(chart);
    let url = Url::parse(&format!("https://{}/{}", named.trim_end_matches('/'), chart.name));
    let named = url.map_err(|_| source.unreachable("it is not a URL".to_owned()))?;
    // A mirror of a registry is a registry, too: where its API is does not change, what repositories are called does.
    let mut base = web.place(&named);
    base.set_path(&format!("/v2{}", base.path()));
    Registry { web, source, base, token: None }.archive().await
}

struct Registry<'a> {
    web: &'a Web,
    source: Source<'a>,
    /// As in `https://registry.example/v2/charts/traefik`.
    base: Url,
    token: Option<Secret>,
}

impl Registry<'_> {
    async fn archive(&mut self) -> Result<Found, ChartError> {
        // A tag cannot hold the sign that versions may.
        let tag = self.source.0.version.replace('+', "_");
        let answer = self.get(&format!("manifests/{tag}"), Some(MANIFEST), LARGEST_DOCUMENT).await?;
        if answer.status == 404 {
            let tags = self.get("tags/list", None, LARGEST_DOCUMENT).await?;
            let tags = if tags.status == 200 { self.read::<Tags>(&tags.body)?.tags } else { None };
            let versions: Vec<String> = tags.into_iter().flatten().map(|tag| tag.replace('_', "+")).collect();
            return Err(self.source.not_found(versions.iter().map(String::as_str)));
        }
        let manifest: Manifest = self.read(&self.good(answer)?.body)?;
        let layer = manifest.layers.into_iter().find(|layer| layer.media_type == ARCHIVE);
        let layer = layer.ok_or_else(|| self.source.unusable("what the registry has is no chart".to_owned()))?;
        let answer = self.get(&format!("blobs/{}", layer.digest), None, LARGEST_ARCHIVE).await?;
        let told = layer.digest.strip_prefix("sha256:").map(str::to_owned);
        Ok(Found { archive: self.good(answer)?.body, told })
    }

    /// Asks, and once more with a token where one is wanted.
    async fn get(&mut self, path: &str, accept: Option<&'static str>, limit: usize) -> Result<Answer, ChartError> {
        let unreachable = |why| self.source.unreachable(why);
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path()));
        let ask = Ask { url: &url, accept, token: self.token.as_ref(), limit };
        let answer = self.web.get(ask).await.map_err(unreachable)?;
        if answer.status != 401 || self.token.is_some() {
            return Ok(answer);
        }
        let challenge = answer.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(asked) = challenge.and_then(token_url) else { return Ok(answer) };
        let asked = if asked.origin() == url.origin() { asked } else { self.web.place(&asked) };
        let ask = Ask { url: &asked, accept: None, token: None, limit: LARGEST_DOCUMENT };
        let given = self.web.get(ask).await.map_err(unreachable)?;
        let token = Secret::new(self.read::<Token>(&self.good(given)?.body)?.token);
        let ask = Ask { url: &url, accept, token: Some(&token), limit };
        let answer = self.web.get(ask).await.map_err(unreachable)?;
        self.token = Some(token);
        Ok(answer)
    }

    fn good(&self, answer: Answer) -> Result<Answer, ChartError> {
        match answer.status {
            200 => Ok(answer),
            status => Err(self.source.unreachable(format!("the registry answers {}", told(status)))),
        }
    }

    /// Errors of serde may quote what they complain about, and that may be a token.
    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ChartError> {
        let unreadable = |_| self.source.unreachable("it answers as no registry does".to_owned());
        serde_json::from_slice(body).map_err(unreadable)
    }
}

/// Where to ask for a token, by a challenge like `Bearer realm="https://…",service="…",scope="…"`.
fn token_url(challenge: &str) -> Option<Url> {
    let (scheme, parameters) = challenge.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut rest = parameters;
    let mut given = Vec::new();
    while let Some((name, value)) = rest.split_once("=\"") {
        let (value, after) = value.split_once('"')?;
        given.push((name.trim_matches([',', ' ']), value));
        rest = after;
    }
    let mut url = Url::parse(given.iter().find(|(name, _)| *name == "realm")?.1).ok()?;
    url.query_pairs_mut().extend_pairs(given.iter().filter(|(name, _)| matches!(*name, "service" | "scope")));
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_to_ask() {
        let challenge = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:charts/x:pull,push""#;
        let url = token_url(challenge).unwrap();
        assert_eq!((url.host_str(), url.path()), (Some("auth.example"), "/token"));
        let asked: Vec<_> = url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(asked, ["service=registry.example", "scope=repository:charts/x:pull,push"]);
        for other in ["Basic realm=\"x\"", "Bearer", "Bearer service=\"x\"", "Bearer realm=\"not a url\""] {
            assert_eq!(token_url(other), None, "{other}");
        }
    }
}

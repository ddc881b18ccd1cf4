//! NetBird's management API: the seam [`Mesh`] over HTTP.
//!
//! One attempt per request, bounded in time and size. Lists are whole: the API has no pages for what is read here. Where a
//! management service has a mirror (as a sandbox' stand-in is one), it is asked there.

mod wire;

use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use helix_crds::SecretKeyRef;
use helix_engine::seams::{Mesh, MeshError};
use helix_plan::observed::{MeshFacts, MeshPeer};
use helix_plan::secrets::Secret;
use helix_plan::step::MeshChange;
use helix_plan::validated::MeshAccount;
use kube::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::kube::read_token;
use crate::mirrors::Mirrors;
use crate::outbound::{self, Clients, IN_THE_CLEAR, Unread, cause, may_be_asked};
use wire::{Group, Network, Peer, Resource, Router, SetupKey, Zone};

/// From the first byte sent to the last byte read.
const PATIENCE: Duration = Duration::from_secs(10);

/// An account of thousands of peers comes nowhere near this.
const BODY_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// The group that everybody is in.
const EVERYBODY: &str = "All";

/// The management services of platforms' meshes.
#[derive(Clone, Debug)]
pub struct Netbird {
    tokens: Tokens,
    /// Or why there is none.
    http: Result<Clients, String>,
    mirrors: Mirrors,
}

#[derive(Clone)]
struct Tokens(Client);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Netbird {
    /// A client that reads tokens from Secrets of the management cluster. `mirrors` says where services are, if not where
    /// their URL says.
    #[must_use]
    pub fn new(tokens: Client, mirrors: Mirrors) -> Self {
        Self { tokens: Tokens(tokens), http: Clients::new().map_err(|error| error.to_string()), mirrors }
    }

    /// The peers of an account, and nothing else of it.
    ///
    /// # Errors
    /// [`MeshError`], as of the seam.
    pub async fn peers(&self, namespace: &str, account: &MeshAccount) -> Result<Vec<MeshPeer>, MeshError> {
        let account = self.account(namespace, account).await?;
        Ok(account.list::<Peer>("/peers").await?.into_iter().map(Peer::into_facts).collect())
    }

    async fn account(&self, namespace: &str, account: &MeshAccount) -> Result<Account<'_>, MeshError> {
        let unusable = |why: String| MeshError::Unreachable { url: account.url.clone(), why };
        let url: Url = account.url.parse().map_err(|error| unusable(format!("it is no URL: {error}")))?;
        let place = self.mirrors.place(&url);
        if !may_be_asked(&place) {
            return Err(unusable(format!("{IN_THE_CLEAR}: the token would be there for all to read")));
        }
        let http = self.http.as_ref().map_err(|why| unusable(why.clone()))?.of(&place);
        let (name, key) = account.token.clone();
        let token = read_token(&self.tokens.0, namespace, &SecretKeyRef { name: name.clone(), key }).await;
        let token = token.map_err(|error| MeshError::NoToken { why: error.to_string() })?;
        let base = place.as_str().trim_end_matches('/').to_owned();
        Ok(Account { http, base, token, secret: format!("{namespace}/{name}") })
    }
}

/// One account at one management service.
struct Account<'a> {
    http: &'a reqwest::Client,
    base: String,
    token: Secret,
    secret: String,
}

impl Account<'_> {
    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, MeshError> {
        let body = self.send(Method::GET, path, None).await?;
        serde_json::from_slice(&body).map_err(|_| self.unreachable("it answered with something that cannot be read"))
    }

    async fn create(&self, path: &str, body: &Value) -> Result<(), MeshError> {
        self.send(Method::POST, path, Some(body)).await.map(drop)
    }

    /// Deletes something; what is gone is success.
    async fn delete(&self, path: &str) -> Result<(), MeshError> {
        match self.answer(Method::DELETE, path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(()),
            (status, body) => self.accepted(status, body).map(drop),
        }
    }

    /// The same, but for what the service will not delete while others use it: that stays.
    async fn delete_unused(&self, path: &str) -> Result<(), MeshError> {
        match self.answer(Method::DELETE, path, None).await? {
            (StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::CONFLICT, _) => Ok(()),
            (status, body) => self.accepted(status, body).map(drop),
        }
    }

    /// The body of a successful answer.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, MeshError> {
        let (status, body) = self.answer(method, path, body).await?;
        self.accepted(status, body)
    }

    /// An answer, whatever its status.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), MeshError> {
        let request = self.http.request(method, format!("{}/api{path}", self.base)).timeout(PATIENCE);
        let request = request.header(AUTHORIZATION, self.authorization()?);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&cause(&error)))?;
        let status = response.status();
        let body = outbound::body(response, BODY_LIMIT_BYTES).await.map_err(|unread| match unread {
            Unread::TooLarge => self.unreachable(&format!("an answer of more than {BODY_LIMIT_BYTES} bytes")),
            Unread::Broken { error, .. } => self.unreachable(&cause(&error)),
        })?;
        Ok((status, body))
    }

    fn accepted(&self, status: StatusCode, body: Vec<u8>) -> Result<Vec<u8>, MeshError> {
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(MeshError::Refused {
                url: self.base.clone(),
                why: wire::message(&body).unwrap_or_else(|| status.to_string()),
                secret: self.secret.clone(),
            }),
            status => Err(self.unreachable(&wire::message(&body).unwrap_or_else(|| status.to_string()))),
        }
    }

    /// Marked sensitive, so that nothing that shows headers shows it.
    fn authorization(&self) -> Result<HeaderValue, MeshError> {
        let unusable = |_| MeshError::NoToken { why: format!("Secret {} holds what no token can hold", self.secret) };
        let mut value = HeaderValue::try_from(format!("Token {}", self.token.expose())).map_err(unusable)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unreachable(&self, why: &str) -> MeshError {
        MeshError::Unreachable { url: self.base.clone(), why: why.to_owned() }
    }
}

#[async_trait]
impl Mesh for Netbird {
    async fn look(&self, namespace: &str, account: &MeshAccount) -> Result<MeshFacts, MeshError> {
        let account = self.account(namespace, account).await?;
        let (peers, groups, networks, zones, setup_keys) = futures::try_join!(
            account.list::<Peer>("/peers"),
            account.list::<Group>("/groups"),
            account.list::<Network>("/networks"),
            account.list::<Zone>("/dns/zones"),
            account.list::<SetupKey>("/setup-keys"),
        )?;
        let account = &account;
        let networks = networks.into_iter().map(|network| async move {
            let routers = account.list::<Router>(&format!("/networks/{}/routers", network.id)).await?;
            let resources = account.list::<Resource>(&format!("/networks/{}/resources", network.id)).await?;
            Ok::<_, MeshError>(network.into_facts(routers, resources))
        });
        Ok(MeshFacts {
            peers: peers.into_iter().map(Peer::into_facts).collect(),
            groups: groups.into_iter().map(|group| (group.name, group.id)).collect(),
            networks: try_join_all(networks).await?,
            zones: zones.into_iter().map(|zone| zone.domain).collect(),
            setup_keys: setup_keys.into_iter().map(SetupKey::into_facts).collect(),
        })
    }

    async fn change(&self, namespace: &str, account: &MeshAccount, change: &MeshChange) -> Result<(), MeshError> {
        let account = self.account(namespace, account).await?;
        match change {
            MeshChange::CreateZone { domain } => {
                if account.list::<Zone>("/dns/zones").await?.iter().any(|zone| zone.domain == *domain) {
                    return Ok(());
                }
                let groups = account.list::<Group>("/groups").await?;
                let everybody: Vec<String> =
                    groups.into_iter().filter(|group| group.name == EVERYBODY).map(|group| group.id).collect();
                let zone = json!({
                    "name": domain, "domain": domain, "enabled": true, "enable_search_domain": false,
                    "distribution_groups": everybody,
                });
                account.create("/dns/zones", &zone).await
            }
            MeshChange::CreateRoute { network, name, address, group, note } => {
                let path = format!("/networks/{network}/resources");
                if account.list::<Resource>(&path).await?.iter().any(|resource| resource.address == *address) {
                    return Ok(());
                }
                let route = json!({
                    "name": name, "description": note, "address": address, "enabled": true, "groups": [group],
                });
                account.create(&path, &route).await
            }
            MeshChange::DeleteNetwork { id, name: _, setup_keys, groups } => {
                // A group that a key or a network uses cannot be deleted.
                for key in setup_keys {
                    account.delete(&format!("/setup-keys/{key}")).await?;
                }
                account.delete(&format!("/networks/{id}")).await?;
                for group in groups {
                    account.delete_unused(&format!("/groups/{group}")).await?;
                }
                Ok(())
            }
        }
    }
}

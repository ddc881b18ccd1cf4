//! The object store, used through URLs that the crate `rusty-s3` signs: a client that is not ours.

use std::time::Duration;

use helix_sim::faults::{CallPattern, Fault};
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::Value;

use crate::fixture::Sockets;

/// For so long a signed URL counts.
const SOON: Duration = Duration::from_secs(60);

struct Client {
    it: Sockets,
    bucket: Bucket,
    pair: Credentials,
}

impl Client {
    async fn start(style: UrlStyle) -> Self {
        let mut it = Sockets::start().await;
        let store = &it.simulator.object_store;
        let pair = Credentials::new(&store.access_key_id, store.secret_access_key());
        let mut endpoint: reqwest::Url = store.endpoint.parse().unwrap();
        if matches!(style, UrlStyle::VirtualHost) {
            // Names below `localhost` are not known everywhere.
            let address = endpoint.socket_addrs(|| None).unwrap()[0];
            endpoint.set_host(Some("localhost")).unwrap();
            let name = format!("{}.localhost", store.bucket);
            it.http = reqwest::Client::builder().resolve(&name, address).build().unwrap();
        }
        let bucket = Bucket::new(endpoint, style, store.bucket.clone(), "fsn1").unwrap();
        Self { it, bucket, pair }
    }

    /// Status and body.
    async fn send(&self, method: &str, url: impl AsRef<str>, body: &[u8]) -> (u16, String) {
        let request = self.it.http.request(method.parse().unwrap(), url.as_ref()).body(body.to_vec());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn put(&self, key: &str, body: &[u8]) -> (u16, String) {
        self.send("PUT", self.bucket.put_object(Some(&self.pair), key).sign(SOON), body).await
    }

    async fn get(&self, key: &str) -> (u16, String) {
        self.send("GET", self.bucket.get_object(Some(&self.pair), key).sign(SOON), b"").await
    }

    async fn list(&self, adjust: impl FnOnce(&mut ListObjectsV2<'_>)) -> ListObjectsV2Response {
        let mut action = self.bucket.list_objects_v2(Some(&self.pair));
        adjust(&mut action);
        let (status, body) = self.send("GET", action.sign(SOON), b"").await;
        assert_eq!(status, 200, "{body}");
        ListObjectsV2::parse_response(&body).unwrap()
    }
}

/// The texts of an element, in order.
fn texts<'a>(document: &'a str, element: &str) -> Vec<&'a str> {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    document.split(&begin).skip(1).filter_map(|rest| rest.split_once(&end)).map(|(text, _)| text).collect()
}

async fn objects_come_and_go(style: UrlStyle) {
    let client = Client::start(style).await;
    for key in ["b/1 +&", "b/2", "c"] {
        assert_eq!(client.put(key, key.as_bytes()).await, (200, String::new()));
    }
    assert_eq!(client.get("b/1 +&").await, (200, "b/1 +&".to_owned()));
    let keys = |page: &ListObjectsV2Response| page.contents.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    let first = client.list(|list| {
        list.with_prefix("b/");
        list.with_max_keys(1);
    });
    let first = first.await;
    assert_eq!(keys(&first), ["b/1 +&"]);
    let token = first.next_continuation_token.unwrap();
    let second = client.list(|list| {
        list.with_prefix("b/");
        list.with_continuation_token(token);
    });
    let second = second.await;
    assert_eq!((keys(&second), second.contents[0].size), (vec!["b/2".to_owned()], Some(3)));
    assert_eq!(second.next_continuation_token, None);
    assert_eq!(keys(&client.list(|_| {}).await), ["b/1 +&", "b/2", "c"]);

    let delete = || client.bucket.delete_object(Some(&client.pair), "b/2").sign(SOON);
    assert_eq!(client.send("DELETE", delete(), b"").await.0, 204);
    assert_eq!(client.send("DELETE", delete(), b"").await.0, 204);
    let (status, body) = client.get("b/2").await;
    assert_eq!((status, texts(&body, "Code")), (404, vec!["NoSuchKey"]));
    client.it.simulator.stop().await;
}

#[tokio::test]
async fn objects_come_and_go_by_path() {
    objects_come_and_go(UrlStyle::Path).await;
}

#[tokio::test]
async fn objects_come_and_go_by_host() {
    objects_come_and_go(UrlStyle::VirtualHost).await;
}

#[tokio::test]
async fn what_was_not_signed_is_refused() {
    let client = Client::start(UrlStyle::Path).await;
    let code = async |url: String| texts(&client.send("GET", url, b"").await.1, "Code").join(",");
    let signed = |pair: &Credentials| client.bucket.get_object(Some(pair), "a").sign(SOON).to_string();
    let id = client.pair.key();
    assert_eq!(code(signed(&Credentials::new(id, "another"))).await, "SignatureDoesNotMatch");
    assert_eq!(code(signed(&Credentials::new("another", "another"))).await, "InvalidAccessKeyId");
    let right = signed(&client.pair);
    assert_eq!(code(right.clone()).await, "NoSuchKey");
    assert_eq!(code(right.replace("/a?", "/b?")).await, "SignatureDoesNotMatch");
    assert_eq!(code(right.replace("X-Amz-Expires=60", "X-Amz-Expires=61")).await, "SignatureDoesNotMatch");
    assert_eq!(code(right.split_once('?').unwrap().0.to_owned()).await, "AccessDenied");

    let mut put = client.bucket.put_object(Some(&client.pair), "a");
    put.headers_mut().insert("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    let request = client.it.http.put(put.sign(SOON)).header("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");
    let answer = request.body("not empty").send().await.unwrap().text().await.unwrap();
    assert_eq!(texts(&answer, "Code"), ["BadDigest"]);
    assert_eq!(code(right).await, "NoSuchKey", "nothing was kept");
    client.it.simulator.stop().await;
}

#[tokio::test]
async fn faults_strike_where_they_are_told_to() {
    let client = Client::start(UrlStyle::Path).await;
    client.put("a", b"content").await;
    let call = CallPattern::new("GET", "/s3/sandbox-backups/*");
    client.it.simulator.world.with(|world, _| world.inject_once(Fault::RateLimited { call, reset_seconds: 1 }));
    assert_eq!(client.put("a", b"content").await.0, 200);
    let (status, body) = client.get("a").await;
    assert_eq!((status, texts(&body, "Code")), (503, vec!["SlowDown"]));
    assert_eq!(client.get("a").await.0, 200);

    let world: Value = client
        .it
        .http
        .get(format!("{}/world", client.it.simulator.control))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(world["buckets"][0]["objects"][0]["key"], "a");
    client.it.simulator.stop().await;
}

//! The client of object stores against the simulator's: what is put comes back, is listed and goes; what is refused,
//! damaged or late is told apart; no secret shows.
//!
//! The simulator verifies signatures and checksums with code of its own, so an agreement between them is one about the
//! wire.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use helix_clients::s3::{BucketClient, Credentials, ObjectStores};
use helix_engine::seams::{Clock, Listed, SnapshotError};
use helix_plan::validated::Bucket;
use helix_sim::clock::SharedWorld;
use helix_sim::faults::{CallPattern, Fault};
use helix_sim::s3;
use helix_sim::world::object_storage::Object;
use helix_sim::world::{World, WorldConfig};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const BUCKET: &str = "acme-backups";
const SECRET: &str = "a-secret-that-nobody-must-see";
const LIMIT: usize = 1 << 20;
/// Long enough for a loaded machine to answer on loopback, short enough to wait for.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// The wall's time, and some.
struct Ahead(SignedDuration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

struct Store {
    world: SharedWorld,
    bucket: Bucket,
    credentials: Credentials,
    stores: ObjectStores,
    _stop: DropGuard,
}

impl Store {
    async fn start() -> Self {
        let mut world = World::new(WorldConfig::default(), Timestamp::now());
        world.object_storage().add_pair("AKIA", SECRET);
        world.object_storage().add_bucket(BUCKET);
        let world = SharedWorld::new(world);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bucket = Bucket {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            name: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            folder: "prod/5f0c/".to_owned(),
            credentials: "backup-s3".to_owned(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(s3::serve(listener, world.clone(), stop.clone()));
        let stores = stores(SignedDuration::ZERO);
        let credentials = Credentials::new("AKIA", SECRET).unwrap();
        Self { world, bucket, credentials, stores, _stop: stop.drop_guard() }
    }

    fn client(&self) -> BucketClient<'_> {
        self.stores.bucket(&self.bucket, &self.credentials).unwrap()
    }

    /// The next call goes wrong.
    fn inject(&self, fault: impl FnOnce(CallPattern) -> Fault) {
        let call = CallPattern { method: None, path: Some(format!("/s3/{BUCKET}/**")) };
        self.world.with(|world, _| world.inject_once(fault(call)));
    }

    fn refuse(&self, code: &str) {
        self.inject(|call| Fault::Refused { call, code: code.to_owned() });
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Object)) {
        self.world.with(|world, _| {
            change(world.object_storage().bucket_mut(BUCKET).unwrap().get_mut(key).unwrap());
        });
    }
}

fn stores(ahead: SignedDuration) -> ObjectStores {
    ObjectStores::new(Arc::new(Ahead(ahead))).unwrap().with_timeout(TIMEOUT)
}

fn content() -> Vec<u8> {
    (0..100_000u32).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn listed(key: &str, size_bytes: u64) -> Listed {
    Listed { key: key.to_owned(), size_bytes }
}

/// Errors must not show the secret, nor a signature made with it.
fn reason(error: &SnapshotError) -> &'static str {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("Signature="), "{shown}");
    error.reason()
}

#[tokio::test]
async fn what_is_put_comes_back_is_listed_and_goes() {
    let store = Store::start().await;
    let client = store.client();
    assert_eq!(client.list("prod/").await, Ok(Vec::new()));
    client.put("prod/5f0c/b 1+2%.age", content()).await.unwrap();
    client.put("prod/5f0c/a&<\u{e9}>.age", b"first".to_vec()).await.unwrap();
    client.put("prod/5f0c/a&<\u{e9}>.age", b"in its place".to_vec()).await.unwrap();
    client.put("other/c", Vec::new()).await.unwrap();

    let expected = [listed("prod/5f0c/a&<\u{e9}>.age", 12), listed("prod/5f0c/b 1+2%.age", 100_000)];
    assert_eq!(client.list("prod/5f0c/").await.unwrap(), expected);
    assert_eq!(client.get("prod/5f0c/b 1+2%.age", LIMIT).await.unwrap(), content());
    assert_eq!(client.get("prod/5f0c/a&<\u{e9}>.age", 12).await.unwrap(), b"in its place");
    assert_eq!(client.get("other/c", 0).await.unwrap(), b"");

    let large = client.get("prod/5f0c/b 1+2%.age", 99_999).await.unwrap_err();
    assert_eq!(large, SnapshotError::TooLarge { key: "prod/5f0c/b 1+2%.age".to_owned(), limit: 99_999 });
    for key in ["prod/5f0c/none", "prod/../other/c", ""] {
        assert_eq!(client.get(key, LIMIT).await.unwrap_err().reason(), "SnapshotMissing", "{key}");
    }
    client.delete("prod/5f0c/b 1+2%.age").await.unwrap();
    client.delete("prod/5f0c/b 1+2%.age").await.unwrap();
    assert_eq!(client.list("prod/5f0c/").await.unwrap(), expected[..1]);
}

#[tokio::test]
async fn a_listing_goes_over_pages_and_not_on_for_ever() {
    let store = Store::start().await;
    let fill = |range: std::ops::Range<u32>| {
        store.world.with(|world, now| {
            let objects = world.object_storage().bucket_mut(BUCKET).unwrap();
            objects.extend(range.map(|number| (format!("prod/{number:06}"), Object::new(vec![0], now))));
        });
    };
    fill(0..2_000);
    let keys = store.client().list("prod/").await.unwrap();
    assert_eq!(keys.len(), 2_000);
    assert!(keys.windows(2).all(|pair| pair[0].key < pair[1].key));
    fill(2_000..20_000);
    let patient = ObjectStores::new(Arc::new(Ahead(SignedDuration::ZERO))).unwrap();
    let client = patient.bucket(&store.bucket, &store.credentials).unwrap();
    assert_eq!(client.list("prod/").await.unwrap().len(), 20_000);
    fill(20_000..20_001);
    let crowded = client.list("prod/").await.unwrap_err();
    assert_eq!(reason(&crowded), "BucketCrowded");
    assert!(crowded.to_string().contains("acme-backups has more than 20000 objects under prod/"), "{crowded}");
}

#[tokio::test]
async fn who_may_not_and_what_is_not_there_is_told() {
    let store = Store::start().await;
    let refused = async |bucket: &Bucket, credentials: &Credentials, ahead| {
        let stores = stores(ahead);
        let client = stores.bucket(bucket, credentials).unwrap();
        let reasons = [
            client.list("prod/").await.map(drop),
            client.put("prod/a", content()).await,
            client.get("prod/a", LIMIT).await.map(drop),
            client.delete("prod/a").await,
        ]
        .map(|outcome| reason(&outcome.unwrap_err()));
        assert!(reasons.windows(2).all(|pair| pair[0] == pair[1]), "{reasons:?}");
        reasons[0]
    };
    let (bucket, pair) = (&store.bucket, &store.credentials);
    let now = SignedDuration::ZERO;
    let another = Credentials::new("AKIA", "another").unwrap();
    assert_eq!(refused(bucket, &another, now).await, "BackupCredentials");
    let unknown = Credentials::new("OTHER", SECRET).unwrap();
    assert_eq!(refused(bucket, &unknown, now).await, "BackupCredentials");
    let elsewhere = Bucket { name: "other".to_owned(), ..bucket.clone() };
    assert_eq!(refused(&elsewhere, pair, now).await, "BucketMissing");
    assert_eq!(refused(bucket, pair, SignedDuration::from_mins(20)).await, "BucketClockSkew");
    assert_eq!(refused(bucket, pair, SignedDuration::from_mins(-20)).await, "BucketClockSkew");
    store.world.with(|world, _| world.object_storage().region = Some("fsn1".to_owned()));
    assert_eq!(refused(bucket, pair, now).await, "BucketRegion");
    let there = Bucket { region: "fsn1".to_owned(), ..bucket.clone() };
    stores(now).bucket(&there, pair).unwrap().put("prod/a", content()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_refuses_is_heard_and_has_done_nothing() {
    let store = Store::start().await;
    let client = store.client();
    for (code, expected) in [("AccessDenied", "BucketForbidden"), ("SlowDown", "BucketBusy")] {
        store.refuse(code);
        assert_eq!(reason(&client.put("prod/a", content()).await.unwrap_err()), expected);
    }
    store.refuse("InternalError");
    let error = client.list("prod/").await.unwrap_err();
    assert_eq!(reason(&error), "BucketError");
    assert!(error.to_string().contains("500 InternalError"), "{error}");
    store.inject(|call| Fault::RequestLost { call });
    assert_eq!(reason(&client.put("prod/a", content()).await.unwrap_err()), "BucketUnreachable");
    assert_eq!(client.list("prod/").await, Ok(Vec::new()));

    store.inject(|call| Fault::AnswerLost { call });
    assert_eq!(reason(&client.put("prod/a", content()).await.unwrap_err()), "BucketUnreachable");
    assert_eq!(client.list("prod/").await.unwrap(), [listed("prod/a", 100_000)], "it was there whole all the same");
}

#[tokio::test]
async fn what_comes_late_is_not_waited_for() {
    let store = Store::start().await;
    let late = u64::try_from(TIMEOUT.as_millis()).unwrap() * 10;
    store.inject(|call| Fault::AnswerDelayed { call, millis: late });
    let error = store.client().list("prod/").await.unwrap_err();
    assert_eq!(reason(&error), "BucketUnreachable");
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn what_comes_damaged_is_not_taken() {
    let store = Store::start().await;
    let client = store.client();
    client.put("prod/a", content()).await.unwrap();
    store.inject(|call| Fault::AnswerTruncated { call });
    let cut = client.get("prod/a", LIMIT).await.unwrap_err();
    assert_eq!(reason(&cut), "SnapshotDamaged");
    assert!(cut.to_string().contains("prod/a") && cut.to_string().contains("after 50000 of 100000 bytes"), "{cut}");
    store.inject(|call| Fault::AnswerGarbled { call });
    let turned = client.get("prod/a", LIMIT).await.unwrap_err();
    assert_eq!(reason(&turned), "SnapshotDamaged");
    assert_eq!(client.get("prod/a", LIMIT).await.unwrap(), content(), "the object itself is good");

    store.change("prod/a", |object| object.content = content()[..99_999].into());
    assert_eq!(reason(&client.get("prod/a", LIMIT).await.unwrap_err()), "SnapshotDamaged");
    // What somebody else put there without a digest is judged by whoever opens it.
    store.change("prod/a", |object| object.metadata.clear());
    assert_eq!(client.get("prod/a", LIMIT).await.unwrap().len(), 99_999);

    for fault in [|call| Fault::AnswerTruncated { call }, |call| Fault::AnswerGarbled { call }] {
        store.inject(fault);
        assert_eq!(reason(&client.list("prod/").await.unwrap_err()), "BucketUnreachable");
    }
}

#[tokio::test]
async fn nobody_there_and_no_object_store_is_told() {
    let store = Store::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = Bucket { endpoint: endpoint.clone(), ..store.bucket.clone() };
    let error = store.stores.bucket(&nowhere, &store.credentials).unwrap().list("prod/").await.unwrap_err();
    assert_eq!(reason(&error), "BucketUnreachable");
    assert!(error.to_string().contains(&endpoint), "{error}");
    let no_url = Bucket { endpoint: "https://".to_owned(), ..store.bucket.clone() };
    assert_eq!(store.stores.bucket(&no_url, &store.credentials).unwrap_err().reason(), "BucketUnreachable");
    assert!(!format!("{:?} {:?}", store.stores, store.client()).contains(SECRET));
}

/// A peer that says the same to everyone, whatever is asked.
async fn saying(answer: String) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            // A client that has read enough may leave before the end.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (endpoint, task)
}

#[tokio::test]
async fn what_is_no_object_store_is_told_and_never_followed() {
    let store = Store::start().await;
    let page = |inner: &str| format!("<ListBucketResult>{inner}</ListBucketResult>");
    let endless = "<a>".repeat(3_000_000);
    let round = page("<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>");
    let elsewhere = format!("location: {}/acme-backups\r\n", store.bucket.endpoint);
    let answers = [
        ("200 OK", "", "welcome", "BucketUnreachable", "is this an S3-compatible"),
        ("200 OK", "", endless.as_str(), "BucketUnreachable", "too large"),
        ("200 OK", "", round.as_str(), "BucketUnreachable", "leads to itself"),
        ("307 Temporary Redirect", elsewhere.as_str(), "", "BucketError", "answered 307"),
        ("301 Moved Permanently", "x-amz-bucket-region: eu-1\r\n", "", "BucketRegion", "eu-1"),
        ("404 Not Found", "", "404 page not found", "BucketError", "answered 404"),
        ("502 Bad Gateway", "", endless.as_str(), "BucketError", "answered 502"),
    ];
    for (status, headers, body, expected, words) in answers {
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        let (endpoint, task) = saying(head + body).await;
        let bucket = Bucket { endpoint, ..store.bucket.clone() };
        let error = store.stores.bucket(&bucket, &store.credentials).unwrap().list("prod/").await.unwrap_err();
        assert_eq!(reason(&error), expected, "{status}: {error}");
        assert!(error.to_string().to_lowercase().contains(&words.to_lowercase()), "{status}: {error}");
        task.abort();
    }
}

//! Prometheus' and Grafana's clients, and what badges say of their answers, over real HTTP with small stand-ins: what the
//! stand-in holds changes, and so does the badge; and nonsense never passes for an observation.

// Helpers of a test fail the way tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use helix_clients::grafana::Grafana;
use helix_clients::prometheus::{Prometheus, TellingError};
use helix_plan::badges::{self, Judged, ROWS, Reading, Source};
use helix_plan::secrets::Secret;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that answers every request with the same status and body, and remembers the last request.
struct StandIn {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    heard: Arc<Mutex<String>>,
}

impl StandIn {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/below/", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new((200, "{}".to_owned())));
        let heard = Arc::<Mutex<String>>::default();
        let (answers, hears) = (Arc::clone(&answer), Arc::clone(&heard));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0; 1];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    request.extend(byte);
                }
                *hears.lock().unwrap() = String::from_utf8(request).unwrap();
                let (status, body) = answers.lock().unwrap().clone();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
                let redirect = "Location: http://127.0.0.1:1/\r\n\r\n";
                // The client may have heard enough.
                let _ = stream.write_all(format!("{head}{redirect}{body}").as_bytes()).await;
            }
        });
        Self { url, answer, heard }
    }

    fn says(&self, status: u16, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

fn vector(value: &str, age: i64) -> Value {
    let at = Timestamp::now().as_second() - age;
    json!({"status": "success", "data": {"resultType": "vector", "result": [
        {"metric": {"part": "value"}, "value": [at, value]},
        {"metric": {"part": "at"}, "value": [at, at.to_string()]},
    ]}})
}

/// The badge of a slug, as this Prometheus lets it be.
async fn badge(prometheus: &Prometheus, slug: &str) -> Judged {
    let query = badges::query(slug, Some(("helix-system", "prod"))).unwrap();
    let reading = match prometheus.instant(&query).await {
        Ok(answer) => badges::of_metrics(&answer),
        Err(error) => Reading::failed(error.to_string()),
    };
    badges::judge(badges::row(slug).unwrap(), &reading, Timestamp::now())
}

#[tokio::test]
async fn each_badge_of_prometheus_changes_with_what_it_measures() {
    let stand_in = StandIn::start().await;
    let prometheus = Prometheus::new(&stand_in.url, Some(Secret::new("s3cret"))).unwrap();
    for row in ROWS.iter().filter(|row| row.source == Source::Prometheus) {
        let mut shown = Vec::new();
        for value in ["0", "97.5"] {
            stand_in.says(200, vector(value, 1).to_string());
            let judged = badge(&prometheus, row.slug).await;
            assert!(!judged.badge.is_error, "{}: {:?}", row.slug, judged.why);
            shown.push(judged.badge);
        }
        assert_ne!(shown[0], shown[1], "{}", row.slug);
        stand_in.says(200, vector("1", 86_400).to_string());
        assert_eq!(badge(&prometheus, row.slug).await.badge.message, "stale", "{}", row.slug);
        for value in ["NaN", "+Inf", "-Inf", "-1"] {
            stand_in.says(200, vector(value, 1).to_string());
            assert_eq!(badge(&prometheus, row.slug).await.badge.message, "unknown", "{} of {value}", row.slug);
        }
        stand_in.says(200, vector("1", -86_400).to_string());
        let ahead = badge(&prometheus, row.slug).await;
        assert!(ahead.why.unwrap().contains("future"), "{}", row.slug);
    }
    let heard = stand_in.heard();
    assert!(heard.starts_with("GET /below/api/v1/query?query="), "{heard}");
    assert!(heard.to_lowercase().contains("authorization: bearer s3cret"), "{heard}");
}

#[tokio::test]
async fn nonsense_is_no_observation_and_says_what_it_is() {
    let stand_in = StandIn::start().await;
    let prometheus = Prometheus::new(&stand_in.url, Some(Secret::new("s3cret"))).unwrap();
    let vectors = |result: Value| json!({"status": "success", "data": {"resultType": "vector", "result": result}});
    for (status, body, said) in [
        (200, "<html>".to_owned(), "no JSON"),
        (200, "[]".to_owned(), "no result of an instant query"),
        (200, json!({"status": "success", "data": {"resultType": "matrix", "result": []}}).to_string(), "no result"),
        (200, vectors(json!([{"metric": {}, "value": [1, "soon"]}])).to_string(), "no result"),
        (200, vectors(json!([{"metric": {"a": 1}, "value": [1, "1"]}])).to_string(), "no result"),
        (200, vectors(json!([])).to_string(), "no such series"),
        (400, json!({"status": "error", "error": "parse error at char 7"}).to_string(), "parse error at char 7"),
        (302, String::new(), "302"),
        (401, String::new(), "Give it a token that may read"),
        (503, "down".to_owned(), "503"),
        (200, " ".repeat(9 * 1024 * 1024), "more than"),
    ] {
        stand_in.says(status, body);
        let judged = badge(&prometheus, "alerts").await;
        assert_eq!(judged.badge.message, "unknown", "{status}: {said}");
        let why = judged.why.unwrap();
        assert!(why.contains(said) && !why.contains("s3cret"), "{said} is not in {why}");
    }
    let nobody = Prometheus::new("http://127.0.0.1:1", None).unwrap();
    assert!(matches!(nobody.instant("up").await, Err(TellingError::Unreachable { .. })));
}

#[tokio::test]
async fn dashboards_are_counted() {
    let stand_in = StandIn::start().await;
    let grafana = Grafana::new(&stand_in.url, None).unwrap();
    for number in [0, 1, 25] {
        let all = vec![json!({"uid": "a", "type": "dash-db", "title": "Nodes"}); number];
        stand_in.says(200, json!(all).to_string());
        assert_eq!(grafana.dashboards().await.unwrap(), number);
    }
    let heard = stand_in.heard();
    assert!(heard.starts_with("GET /below/api/search?type=dash-db&limit=5000 "), "{heard}");
    assert!(!heard.to_lowercase().contains("authorization"), "{heard}");
    for body in [json!({"message": "x"}), json!([{"no": "uid"}]), json!("x")] {
        stand_in.says(200, body.to_string());
        assert!(matches!(grafana.dashboards().await, Err(TellingError::Unreachable { .. })), "{body}");
    }
    stand_in.says(403, json!({"message": "Permission denied"}).to_string());
    let refused = grafana.dashboards().await.unwrap_err();
    assert!(matches!(&refused, TellingError::Refused { why, .. } if why == "Permission denied"), "{refused}");
}

//! Prometheus' HTTP API: instant queries.
//!
//! Source of the wire format: <https://prometheus.io/docs/prometheus/latest/querying/api/>. Ranges, rules and targets are
//! not asked for; what a query means is its author's.

use std::collections::BTreeMap;

use helix_plan::secrets::Secret;
use serde_json::Value;

use crate::telling::Teller;
pub use crate::telling::TellingError;

/// One element of an instant vector: its labels and its value, which may be NaN or infinite.
pub type Sample = (BTreeMap<String, String>, f64);

/// A Prometheus, or whatever speaks its API.
#[derive(Clone, Debug)]
pub struct Prometheus(Teller);

impl Prometheus {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`TellingError::NoUrl`].
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, TellingError> {
        Teller::new("Prometheus", url, token).map(Self)
    }

    /// What a query is at this moment. A scalar is a vector of one without labels.
    ///
    /// # Errors
    /// [`TellingError`]: it refuses, does not answer in time, or answers nonsense.
    pub async fn instant(&self, query: &str) -> Result<Vec<Sample>, TellingError> {
        let answer = self.0.ask("/api/v1/query", &[("query", query)]).await?;
        let data = &answer["data"];
        let read = match (answer["status"].as_str(), data["resultType"].as_str()) {
            (Some("success"), Some("vector")) => {
                data["result"].as_array().and_then(|all| all.iter().map(sample).collect())
            }
            (Some("success"), Some("scalar")) => value(&data["result"]).map(|value| vec![(BTreeMap::new(), value)]),
            _ => None,
        };
        read.ok_or_else(|| self.0.nonsense("with something that is no result of an instant query"))
    }
}

fn sample(element: &Value) -> Option<Sample> {
    let labels = element["metric"].as_object()?;
    let labels = labels.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some((labels.collect::<Option<_>>()?, value(&element["value"])?))
}

/// A pair of time and value; the value is a text, because JSON has no NaN.
fn value(pair: &Value) -> Option<f64> {
    match pair[1].as_str()? {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

//! Grafana's API: which dashboards there are.
//!
//! Source of the wire format: <https://grafana.com/docs/grafana/latest/developers/http_api/folder_dashboard_search/>. Their
//! content is not asked for.

use helix_plan::secrets::Secret;

use crate::telling::{Teller, TellingError};

/// As many as Grafana tells at once.
const MOST: &str = "5000";

/// A Grafana.
#[derive(Clone, Debug)]
pub struct Grafana(Teller);

impl Grafana {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`TellingError::NoUrl`].
    pub fn new(url: &str, token: Option<Secret>) -> Result<Self, TellingError> {
        Teller::new("Grafana", url, token).map(Self)
    }

    /// How many dashboards whoever asks may see.
    ///
    /// # Errors
    /// [`TellingError`]: it refuses, does not answer in time, or answers nonsense.
    pub async fn dashboards(&self) -> Result<usize, TellingError> {
        let answer = self.0.ask("/api/search", &[("type", "dash-db"), ("limit", MOST)]).await?;
        let all = answer.as_array().ok_or_else(|| self.0.nonsense("with something that is no list of dashboards"))?;
        if all.iter().any(|found| !found["uid"].is_string()) {
            return Err(self.0.nonsense("with a list of something that is no dashboard"));
        }
        Ok(all.len())
    }
}

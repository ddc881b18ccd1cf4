//! What Services of a cluster answer, asked through the API server's own proxy: nobody but the API server has to be
//! reachable, and whoever may not use it may not ask. Answers are read up to a bound.

use std::time::Duration;

use helix_engine::seams::{Answer, WorkloadError};
use helix_plan::components::Question;
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;

use super::cluster::Cluster;
use crate::kube::failure::Failure;

/// How long an answer may take: a Service that is well has one at once.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cluster {
    pub(super) async fn ask(&self, namespace: &str, question: &Question) -> Result<Answer, WorkloadError> {
        match tokio::time::timeout(PATIENCE, self.answer(namespace, question)).await {
            Ok(answer) => answer.map_err(|failure| self.error(failure)),
            Err(_) => {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                Err(self.error(Failure::Unreachable { why }))
            }
        }
    }

    async fn answer(&self, namespace: &str, question: &Question) -> Result<Answer, Failure> {
        let Question { service, port, path } = question;
        let url = format!("/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy{path}");
        let unreachable = |why: String| Failure::Unreachable { why };
        let request = http::Request::get(url).body(Body::empty()).map_err(|error| unreachable(error.to_string()))?;
        let response = self.client.send(request).await.map_err(|error| Failure::of(&error))?;
        let code = response.status().as_u16();
        let body = Limited::new(response.into_body(), Answer::LONGEST).collect().await;
        let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes().to_vec();
        Ok(Answer { code, body })
    }
}

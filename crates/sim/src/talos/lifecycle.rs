//! `machine.LifecycleService`: installing the next system. What the installer says of failure is its exit code, never a
//! gRPC error.

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::caller::status;
use super::events::once;
use super::machine_service::Service;
use super::route::target;
use super::wire::machine::lifecycle_service_install_progress::Response as Progress;
use super::wire::machine::lifecycle_service_server::LifecycleService;
use super::wire::machine::{
    LifecycleServiceInstallProgress, LifecycleServiceUpgradeRequest, LifecycleServiceUpgradeResponse,
};

#[tonic::async_trait]
impl LifecycleService for Service {
    type UpgradeStream = ReceiverStream<Result<LifecycleServiceUpgradeResponse, Status>>;

    async fn upgrade(
        &self,
        request: Request<LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "LifecycleUpgrade")?;
        let image = request.into_inner().source.map(|source| source.image_name).unwrap_or_default();
        let installed = self.machines.ask(|guests, _| guests.install_next(server, &image)).map_err(status)?;
        let messages = installed.messages.into_iter().map(Progress::Message);
        let progress =
            messages.chain([Progress::ExitCode(installed.exit_code)]).map(|response| LifecycleServiceUpgradeResponse {
                progress: Some(LifecycleServiceInstallProgress { response: Some(response) }),
            });
        Ok(Response::new(once(progress.collect())))
    }
}

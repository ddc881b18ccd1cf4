//! `machine.ImageService` and `machine.LifecycleService`: pulling an installer's image and having it write the next
//! system. What the installer says of failure is its exit code, never a gRPC error.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::caller::status;
use super::events::once;
use super::machine_service::Service;
use super::route::target;
use super::wire::machine::image_service_pull_layer_progress::Status as Layer;
use super::wire::machine::image_service_pull_response::Response as Pulled;
use super::wire::machine::image_service_server::ImageService;
use super::wire::machine::lifecycle_service_install_progress::Response as Progress;
use super::wire::machine::lifecycle_service_server::LifecycleService;
use super::wire::machine::{
    ImageServicePullLayerProgress, ImageServicePullProgress, ImageServicePullRequest, ImageServicePullResponse,
    LifecycleServiceInstallProgress, LifecycleServiceUpgradeRequest, LifecycleServiceUpgradeResponse,
};
use crate::world::ServerId;
use crate::world::machine::{Installed, RpcCode, RpcError};

/// How many messages of an installer may wait for a slow reader.
const WAITING: usize = 8;

#[tonic::async_trait]
impl ImageService for Service {
    type PullStream = ReceiverStream<Result<ImageServicePullResponse, Status>>;

    async fn pull(&self, request: Request<ImageServicePullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "ImagePull")?;
        let image = request.into_inner().image_ref;
        self.machines.ask(|guests, _| guests.pull_image(server, &image)).map_err(status)?;
        let progress = ImageServicePullLayerProgress { status: Layer::DownloadComplete.into() };
        let progress = ImageServicePullProgress { layer_id: "layer-0".to_owned(), progress: Some(progress) };
        let told = [Pulled::PullProgress(progress), Pulled::Name(image)];
        Ok(Response::new(once(told.map(|it| ImageServicePullResponse { response: Some(it) }).into())))
    }
}

impl Service {
    /// The end of an installation that was begun in the boot of this id.
    fn finish_install(&self, server: ServerId, boot_id: &str, image: &str) -> Result<Installed, RpcError> {
        self.machines.ask(|guests, _| match guests.get(server).is_some_and(|guest| guest.boot_id() == boot_id) {
            true => guests.install_next(server, image),
            false => Err(RpcError::new(RpcCode::Unavailable, "the machine went down")),
        })
    }
}

fn told(response: Progress) -> LifecycleServiceUpgradeResponse {
    LifecycleServiceUpgradeResponse { progress: Some(LifecycleServiceInstallProgress { response: Some(response) }) }
}

#[tonic::async_trait]
impl LifecycleService for Service {
    type UpgradeStream = ReceiverStream<Result<LifecycleServiceUpgradeResponse, Status>>;

    async fn upgrade(
        &self,
        request: Request<LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        let (_, server) = target(&self.machines, self.server, &request, "LifecycleUpgrade")?;
        let image = request.into_inner().source.map(|source| source.image_name).unwrap_or_default();
        let (takes, boot_id) = self
            .machines
            .ask(|guests, _| {
                let boot_id = guests.get(server).map(|guest| guest.boot_id().to_owned()).unwrap_or_default();
                guests.begin_install(server, &image).map(|takes| (takes, boot_id))
            })
            .map_err(status)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let service = self.clone();
        // It goes on where the caller has gone, as in Talos.
        tokio::spawn(async move {
            let began = told(Progress::Message(format!("installing from {image}")));
            // A reader that is gone hears nothing of the rest.
            let _ = sender.send(Ok(began)).await;
            tokio::time::sleep(takes).await;
            let messages = match service.finish_install(server, &boot_id, &image) {
                Ok(installed) => {
                    let said = installed.messages.into_iter().map(Progress::Message);
                    said.chain([Progress::ExitCode(installed.exit_code)]).map(|it| Ok(told(it))).collect()
                }
                Err(error) => vec![Err(status(error))],
            };
            for message in messages {
                let _ = sender.send(message).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

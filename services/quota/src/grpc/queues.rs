use tidegate_proto::quota::v1::{self as proto, queue_service_server};
use tidegate_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{convert, status, status::Answers};
use crate::queues::Queues;

/// What gateways report, and staff look at.
pub(super) struct QueueGrpc {
    pub(super) queues: Queues,
    pub(super) answers: Answers,
}

#[tonic::async_trait]
impl queue_service_server::QueueService for QueueGrpc {
    async fn report_queues(
        &self,
        request: Request<proto::ReportQueuesRequest>,
    ) -> Result<Response<proto::ReportQueuesResponse>, Status> {
        let call = status::call_of(&request)?;
        let report = self
            .answers
            .of(convert::gateway_report(&request.into_inner()))?;
        let queues = self.queues.clone();
        let snapshots = self
            .answers
            .of_detached(async move {
                queues
                    .report(&report, Timestamp::now_utc(), call.deadline)
                    .await
            })
            .await?;
        let queues = convert::queue_snapshots(&snapshots);
        Ok(Response::new(proto::ReportQueuesResponse { queues }))
    }

    async fn get_queue(
        &self,
        request: Request<proto::GetQueueRequest>,
    ) -> Result<Response<proto::GetQueueResponse>, Status> {
        let id = self
            .answers
            .of(convert::campaign_id(&request.into_inner().campaign_id))?;
        let standing = self.queues.standing(&id, Timestamp::now_utc()).await;
        let (standing, reports) = self.answers.of(standing)?;
        Ok(Response::new(convert::queue_standing(&standing, &reports)))
    }
}

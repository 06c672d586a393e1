use tidegate_proto::quota::v1::{self as proto, queue_service_server};
use tidegate_types::Timestamp;
use tonic::Request;

use super::{
    convert,
    status::{self, Answer, Answers},
};
use crate::queues::Queues;

pub(super) struct QueueGrpc {
    pub(super) queues: Queues,
    pub(super) answers: Answers,
}

#[tonic::async_trait]
impl queue_service_server::QueueService for QueueGrpc {
    async fn report_queues(
        &self,
        request: Request<proto::ReportQueuesRequest>,
    ) -> Answer<proto::ReportQueuesResponse> {
        let call = status::call_of(&request)?;
        let queues = self.queues.clone();
        let work = async move {
            let report = convert::gateway_report(request.get_ref())?;
            let reported = queues.report(&report, Timestamp::now_utc(), call.deadline);
            Ok(proto::ReportQueuesResponse {
                queues: convert::queue_snapshots(&reported.await?),
            })
        };
        self.answers.of_detached(work).await
    }

    async fn get_queue(
        &self,
        request: Request<proto::GetQueueRequest>,
    ) -> Answer<proto::GetQueueResponse> {
        let read = async {
            let id = convert::campaign_id(&request.get_ref().campaign_id)?;
            let (standing, reports) = self.queues.standing(&id, Timestamp::now_utc()).await?;
            Ok(convert::queue_standing(&standing, &reports))
        };
        self.answers.of(read.await)
    }
}

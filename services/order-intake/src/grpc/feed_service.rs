use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tidegate_proto::order_intake::v1::{
    AcknowledgeOrdersRequest, AcknowledgeOrdersResponse, StreamOrdersRequest, StreamOrdersResponse,
    feed_service_server::FeedService,
};
use tonic::{Request, Response, Status};

use super::{Server, convert::feed as convert};

#[tonic::async_trait]
impl FeedService for Server {
    type StreamOrdersStream =
        Pin<Box<dyn Stream<Item = Result<StreamOrdersResponse, Status>> + Send>>;

    async fn stream_orders(
        &self,
        request: Request<StreamOrdersRequest>,
    ) -> Result<Response<Self::StreamOrdersStream>, Status> {
        let (consumer, cursor, filter) = convert::query(request.get_ref(), self.lanes)?;
        let pages = self.feed.stream(&consumer, cursor, filter).await?;
        let pages = pages.map(move |page| Ok(convert::page(page?, &consumer)));
        Ok(Response::new(Box::pin(pages)))
    }

    async fn acknowledge_orders(
        &self,
        request: Request<AcknowledgeOrdersRequest>,
    ) -> Result<Response<AcknowledgeOrdersResponse>, Status> {
        let (consumer, cursor) = convert::acknowledgement(request.get_ref(), self.lanes)?;
        let feed = self.feed.clone();
        let acknowledging = async move { feed.acknowledge(&consumer, cursor).await };
        self.run_detached(acknowledging).await?;
        Ok(Response::new(AcknowledgeOrdersResponse {}))
    }
}

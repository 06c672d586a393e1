use futures_util::StreamExt as _;
use tidegate_proto::order_intake::v1::{
    AcknowledgeOrdersRequest, AcknowledgeOrdersResponse, StreamOrdersRequest, StreamOrdersResponse,
    feed_service_server::FeedService,
};
use tonic::{Request, Response};

use super::{Answer, Answers, Server, convert::feed as convert};

#[tonic::async_trait]
impl FeedService for Server {
    type StreamOrdersStream = Answers<StreamOrdersResponse>;

    async fn stream_orders(
        &self,
        request: Request<StreamOrdersRequest>,
    ) -> Answer<Self::StreamOrdersStream> {
        let (consumer, cursor, filter) = convert::feed_query(request.get_ref(), self.lanes)?;
        let pages = self.feed.stream(&consumer, cursor, filter).await?;
        let pages = pages.map(move |page| Ok(convert::page(page?, &consumer)));
        Ok(Response::new(Box::pin(pages)))
    }

    async fn acknowledge_orders(
        &self,
        request: Request<AcknowledgeOrdersRequest>,
    ) -> Answer<AcknowledgeOrdersResponse> {
        let (consumer, cursor) = convert::acknowledgement(request.get_ref(), self.lanes)?;
        let feed = self.feed.clone();
        let acknowledging = async move { feed.acknowledge(&consumer, cursor).await };
        self.run_detached(acknowledging).await?;
        Ok(Response::new(AcknowledgeOrdersResponse {}))
    }
}

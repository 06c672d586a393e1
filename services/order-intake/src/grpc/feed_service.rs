use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use tidegate_proto::order_intake::v1::{
    AcknowledgeOrdersRequest, AcknowledgeOrdersResponse, StreamOrdersRequest, StreamOrdersResponse,
    feed_service_server::FeedService,
};
use tonic::{Request, Response, Status};

use super::{Server, convert::feed as convert, status::to_status};
use crate::error::OrderIntakeError;

#[tonic::async_trait]
impl FeedService for Server {
    type StreamOrdersStream =
        Pin<Box<dyn Stream<Item = Result<StreamOrdersResponse, Status>> + Send>>;

    async fn stream_orders(
        &self,
        request: Request<StreamOrdersRequest>,
    ) -> Result<Response<Self::StreamOrdersStream>, Status> {
        let (consumer, cursor, filter) =
            convert::query(request.get_ref(), self.lanes).map_err(to_status)?;
        let pages = self
            .feed
            .stream(&consumer, cursor, filter)
            .await
            .map_err(to_status)?;
        let pages = pages.map(move |page| {
            page.map(|page| convert::page(page, &consumer))
                .map_err(to_status)
        });
        Ok(Response::new(Box::pin(pages)))
    }

    async fn acknowledge_orders(
        &self,
        request: Request<AcknowledgeOrdersRequest>,
    ) -> Result<Response<AcknowledgeOrdersResponse>, Status> {
        let (consumer, cursor) =
            convert::acknowledgement(request.get_ref(), self.lanes).map_err(to_status)?;
        let feed = self.feed.clone();
        let acknowledging = self
            .tasks
            .spawn(async move { feed.acknowledge(&consumer, cursor).await });
        let acknowledged = acknowledging
            .await
            .unwrap_or(Err(OrderIntakeError::Internal));
        acknowledged.map_err(to_status)?;
        Ok(Response::new(AcknowledgeOrdersResponse {}))
    }
}

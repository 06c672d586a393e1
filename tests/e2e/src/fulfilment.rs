use anyhow::Result;
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    stack::Stack,
};
use tidegate_proto::{
    order_intake::v1::{
        AcknowledgeOrdersRequest, AdvanceOrderRequest, FailOrderRequest, StreamOrdersRequest,
        StreamOrdersResponse, feed_service_client::FeedServiceClient,
        order_intake_service_client::OrderIntakeServiceClient,
    },
    r#type::v1::{Order, OrderState},
};
use tonic::{Status, Streaming, transport::Channel};

use crate::with_token;

/// Those who make orders and hand them out.
pub struct FulfilmentDesk {
    token: String,
    order_intake: Channel,
}

impl FulfilmentDesk {
    pub(crate) fn new(stack: &Stack) -> Result<Self> {
        Ok(Self {
            token: stack
                .credentials()
                .sign(&Token::new("fulfilment", &Scope::FULFILMENT))?,
            order_intake: stack.channel(Some(Identity::Staff), "order-intake-0")?,
        })
    }

    pub async fn advance(&self, order: &Order, state: OrderState) -> Result<Order, Status> {
        let message = AdvanceOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            state: state.into(),
        };
        let response = OrderIntakeServiceClient::new(self.order_intake.clone())
            .advance_order(with_token(message, &self.token))
            .await?;
        response
            .into_inner()
            .order
            .ok_or_else(|| Status::internal("the answer holds no order"))
    }

    /// Says that the store cannot make an order.
    pub async fn fail(&self, order: &Order, note: &str) -> Result<Order, Status> {
        let message = FailOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
            note: note.into(),
        };
        let response = OrderIntakeServiceClient::new(self.order_intake.clone())
            .fail_order(with_token(message, &self.token))
            .await?;
        response
            .into_inner()
            .order
            .ok_or_else(|| Status::internal("the answer holds no order"))
    }

    pub async fn stream(
        &self,
        message: StreamOrdersRequest,
    ) -> Result<Streaming<StreamOrdersResponse>, Status> {
        let pages = FeedServiceClient::new(self.order_intake.clone())
            .stream_orders(with_token(message, &self.token))
            .await?;
        Ok(pages.into_inner())
    }

    /// Reads the feed from where a consumer has come to.
    pub async fn stream_on(
        &self,
        consumer: &str,
    ) -> Result<Streaming<StreamOrdersResponse>, Status> {
        self.stream(StreamOrdersRequest {
            consumer: consumer.into(),
            ..StreamOrdersRequest::default()
        })
        .await
    }

    /// Remembers how far a consumer has come.
    pub async fn acknowledge(&self, consumer: &str, cursor: &str) -> Result<(), Status> {
        let message = AcknowledgeOrdersRequest {
            consumer: consumer.into(),
            cursor: cursor.into(),
        };
        FeedServiceClient::new(self.order_intake.clone())
            .acknowledge_orders(with_token(message, &self.token))
            .await?;
        Ok(())
    }
}

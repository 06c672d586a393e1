//! One gateway, as the backend of a chatbot calls it.

use std::time::{Duration, Instant};

use anyhow::Result;
use tidegate_local::{
    credentials::Scope,
    stack::{Service, Stack},
};
use tidegate_proto::{
    gateway::v1::{
        CancelOrderRequest, CheckCouponRequest, ClaimCouponRequest, GetClaimRequest,
        GetClaimResponse, GetCouponRequest, GetOrderRequest, IssuedClaim, ListCouponsRequest,
        PlaceOrderRequest, claim_coupon_response::Outcome,
        claim_service_client::ClaimServiceClient, order_service_client::OrderServiceClient,
        wallet_service_client::WalletServiceClient,
    },
    r#type::v1::{Coupon, Order},
};
use tokio::time::sleep;
use tonic::{Code, Request, Status, transport::Channel};
use uuid::Uuid;

use crate::{Bearer, claim_of, order_of, refused};

/// What [`Gateway::claim`] says of a claim that was given a place in the queue.
pub const QUEUED: &str = "the claim waits in the queue";
/// The backend of a suite that has one.
const CHATBOT: &str = "chatbot";
const POLL: Duration = Duration::from_millis(50);
/// How long [`Gateway::coupon`] sends a claim again that was told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a gateway, with the token that it is called with.
#[derive(Debug, Clone)]
pub struct Gateway {
    channel: Channel,
    bearer: Bearer,
    deadline: Option<Duration>,
}

impl Gateway {
    pub fn new(channel: Channel, bearer: Bearer) -> Self {
        Self {
            channel,
            bearer,
            deadline: None,
        }
    }

    /// A gateway of a stack, with a token that may do all that chatbots may.
    pub fn of(stack: &Stack, name: &str) -> Result<Self> {
        let bearer = Bearer::sign(stack.credentials(), CHATBOT, &Scope::CHATBOT)?;
        Ok(Self::new(stack.channel(None, name)?, bearer))
    }

    /// Every gateway of a stack.
    pub fn all(stack: &Stack) -> Result<Vec<Self>> {
        let gateways = stack.replicas().iter();
        gateways
            .filter(|replica| replica.service() == Service::Gateway)
            .map(|gateway| Self::of(stack, gateway.name()))
            .collect()
    }

    /// The same gateway, called with another token.
    pub fn with(&self, bearer: Bearer) -> Self {
        Self {
            bearer,
            ..self.clone()
        }
    }

    /// The same gateway, called with a deadline.
    pub fn within(&self, deadline: Duration) -> Self {
        Self {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    pub fn request<M>(&self, message: M) -> Request<M> {
        let mut request = self.bearer.request(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    pub fn claims(&self) -> ClaimServiceClient<Channel> {
        ClaimServiceClient::new(self.channel.clone())
    }

    pub fn wallet(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel.clone())
    }

    pub fn orders(&self) -> OrderServiceClient<Channel> {
        OrderServiceClient::new(self.channel.clone())
    }

    /// Sends a claim once: the coupon, or the place in the queue.
    pub async fn ask(&self, claim: ClaimCouponRequest) -> Result<Outcome, Status> {
        let answer = self.claims().claim_coupon(self.request(claim)).await?;
        let outcome = answer.into_inner().outcome;
        outcome.ok_or_else(|| Status::internal("the answer holds no outcome"))
    }

    /// Sends a claim once: the coupon, or why there is none. A place in the queue is [`QUEUED`].
    pub async fn issue(&self, claim: ClaimCouponRequest) -> Result<IssuedClaim, Status> {
        match self.ask(claim).await? {
            Outcome::Issued(issued) => Ok(issued),
            Outcome::Queued(_) => Err(Status::internal(QUEUED)),
        }
    }

    /// The same for a claim of any tier.
    pub async fn claim(
        &self,
        campaign: &str,
        shopper: &str,
        request_id: &str,
    ) -> Result<IssuedClaim, Status> {
        self.issue(claim_of(campaign, shopper, request_id)).await
    }

    /// The code of a new coupon. Comes back as anybody may have to while a campaign is young.
    pub async fn coupon(&self, campaign: &str, shopper: &str) -> Result<String> {
        let request_id = Uuid::new_v4().to_string();
        let began = Instant::now();
        loop {
            match self.claim(campaign, shopper, &request_id).await {
                Err(status)
                    if (status.code() == Code::Unavailable || status.message() == QUEUED)
                        && began.elapsed() < PATIENCE =>
                {
                    sleep(POLL).await;
                }
                outcome => return Ok(outcome?.coupon.unwrap_or_default().code),
            }
        }
    }

    /// What became of a claim.
    pub async fn look_up(
        &self,
        campaign: &str,
        shopper: &str,
        request_id: &str,
    ) -> Result<GetClaimResponse, Status> {
        let message = GetClaimRequest {
            campaign_id: campaign.into(),
            shopper_id: shopper.into(),
            request_id: request_id.into(),
        };
        let answer = self.claims().get_claim(self.request(message)).await?;
        Ok(answer.into_inner())
    }

    /// Whether the gateway has heard of a campaign; if not, what it says instead.
    pub async fn knows(&self, campaign: &str) -> Result<(), String> {
        match self.look_up(campaign, "nobody", "known").await {
            Ok(_) => Ok(()),
            Err(status) => match refused(&status).reason {
                reason if reason == "CLAIM_NOT_FOUND" => Ok(()),
                reason => Err(reason),
            },
        }
    }

    /// The first coupons of a wallet, the newest first.
    pub async fn coupons(&self, shopper: &str, page_size: u32) -> Result<Vec<Coupon>, Status> {
        let message = ListCouponsRequest {
            shopper_id: shopper.into(),
            page_size,
            ..ListCouponsRequest::default()
        };
        let answer = self.wallet().list_coupons(self.request(message)).await?;
        Ok(answer.into_inner().coupons)
    }

    pub async fn get_coupon(&self, shopper: &str, code: &str) -> Result<Coupon, Status> {
        let message = GetCouponRequest {
            shopper_id: shopper.into(),
            coupon_code: code.into(),
        };
        let answer = self.wallet().get_coupon(self.request(message)).await?;
        Ok(answer.into_inner().coupon.unwrap_or_default())
    }

    /// The coupon, and whether it could pay for an order now.
    pub async fn check(&self, shopper: &str, code: &str) -> Result<(Coupon, bool), Status> {
        let message = CheckCouponRequest {
            shopper_id: shopper.into(),
            coupon_code: code.into(),
        };
        let answer = self.wallet().check_coupon(self.request(message)).await?;
        let checked = answer.into_inner();
        Ok((checked.coupon.unwrap_or_default(), checked.usable))
    }

    /// Places an order for one milk tea at `store-1`.
    pub async fn order(
        &self,
        shopper: &str,
        request_id: &str,
        code: &str,
    ) -> Result<Order, Status> {
        self.place(order_of(shopper, request_id, code)).await
    }

    pub async fn place(&self, order: PlaceOrderRequest) -> Result<Order, Status> {
        let answer = self.orders().place_order(self.request(order)).await?;
        answer.into_inner().order.ok_or_else(no_order)
    }

    /// The order as it stands.
    pub async fn read(&self, order: &Order) -> Result<Order, Status> {
        self.get_order(&order.shopper_id, &order.order_id).await
    }

    pub async fn get_order(&self, shopper: &str, order_id: &str) -> Result<Order, Status> {
        let message = GetOrderRequest {
            shopper_id: shopper.into(),
            order_id: order_id.into(),
        };
        let answer = self.orders().get_order(self.request(message)).await?;
        answer.into_inner().order.ok_or_else(no_order)
    }

    pub async fn cancel(&self, order: &Order) -> Result<Order, Status> {
        self.cancel_order(&order.shopper_id, &order.order_id).await
    }

    pub async fn cancel_order(&self, shopper: &str, order_id: &str) -> Result<Order, Status> {
        let message = CancelOrderRequest {
            shopper_id: shopper.into(),
            order_id: order_id.into(),
        };
        let answer = self.orders().cancel_order(self.request(message)).await?;
        answer.into_inner().order.ok_or_else(no_order)
    }
}

fn no_order() -> Status {
    Status::internal("the answer holds no order")
}

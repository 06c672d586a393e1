//! One gateway, as the backend of a chatbot calls it.

use std::time::Duration;

use anyhow::Result;
use tidegate_local::{
    credentials::Scope,
    stack::{Service, Stack},
};
use tidegate_proto::{
    gateway::v1::{
        CancelOrderRequest, CheckCouponRequest, ClaimCouponRequest, GetClaimRequest,
        GetClaimResponse, GetCouponRequest, GetOrderRequest, IssuedClaim, ListCouponsRequest,
        ListOrdersRequest, ListOrdersResponse, PlaceOrderRequest, WatchClaimRequest,
        WatchClaimResponse, WatchOrderRequest, WatchOrderResponse, claim_coupon_response::Outcome,
        claim_service_client::ClaimServiceClient, order_service_client::OrderServiceClient,
        wallet_service_client::WalletServiceClient,
    },
    r#type::v1::{Coupon, Order},
};
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use uuid::Uuid;

use crate::{Bearer, Refusal, claim_of, order_of, part, replicas, soon};

/// The backend of a suite that has one.
const CHATBOT: &str = "chatbot";
/// What [`Gateway::claim`] says of a claim that was given a place in the queue.
const QUEUED: &str = "the claim waits in the queue";

pub(crate) fn code_of(issued: IssuedClaim) -> Result<String, Status> {
    let code = issued.coupon.map(|coupon| coupon.code);
    part(code.filter(|code| !code.is_empty()), "claim_coupon")
}

/// A connection to a gateway, with the token that it is called with.
#[derive(Debug, Clone)]
pub struct Gateway {
    channel: Channel,
    bearer: Bearer,
}

impl Gateway {
    /// A gateway of a stack, with a token that may do all that chatbots may.
    pub fn of(stack: &Stack, name: &str) -> Result<Self> {
        Ok(Self {
            channel: stack.channel(None, name)?,
            bearer: Bearer::sign(stack.credentials(), CHATBOT, &Scope::CHATBOT)?,
        })
    }

    pub fn all(stack: &Stack) -> Result<Vec<Self>> {
        let replicas = replicas(stack).into_iter();
        let gateways = replicas.filter(|(service, _)| *service == Service::Gateway);
        gateways.map(|(_, name)| Self::of(stack, &name)).collect()
    }

    pub fn with(&self, bearer: Bearer) -> Self {
        Self {
            bearer,
            ..self.clone()
        }
    }

    pub fn within(&self, deadline: Duration) -> Self {
        self.with(self.bearer.clone().within(deadline))
    }

    pub fn request<M>(&self, message: M) -> Request<M> {
        self.bearer.request(message)
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
        part(answer.into_inner().outcome, "claim_coupon")
    }

    /// Claims once of any tier: the coupon, or why there is none.
    pub async fn claim(
        &self,
        campaign: &str,
        shopper: &str,
        request_id: &str,
    ) -> Result<IssuedClaim, Status> {
        match self.ask(claim_of(campaign, shopper, request_id)).await? {
            Outcome::Issued(issued) => Ok(issued),
            Outcome::Queued(_) => Err(Status::internal(QUEUED)),
        }
    }

    /// The code of a new coupon. Comes back as anybody may have to while a campaign is young.
    pub async fn coupon(&self, campaign: &str, shopper: &str) -> Result<String> {
        let request_id = Uuid::new_v4().to_string();
        let comes_back =
            |status: &Status| status.code() == Code::Unavailable || status.message() == QUEUED;
        let issued = soon(
            async || match self.claim(campaign, shopper, &request_id).await {
                Err(status) if comes_back(&status) => Err(status),
                final_answer => Ok(final_answer),
            },
        );
        Ok(code_of(issued.await??)?)
    }

    /// Whether the gateway has heard of a campaign; if not, what it says instead.
    pub async fn knows(&self, campaign: &str) -> Result<(), String> {
        match self.look_up(campaign, "nobody", "known").await {
            Ok(_) => Ok(()),
            Err(status) => match Refusal::of(&status).reason {
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

    /// The coupon, and whether it could pay for an order now.
    pub async fn check(&self, shopper: &str, code: &str) -> Result<(Coupon, bool), Status> {
        let message = CheckCouponRequest {
            shopper_id: shopper.into(),
            coupon_code: code.into(),
        };
        let answer = self.wallet().check_coupon(self.request(message)).await?;
        let checked = answer.into_inner();
        Ok((part(checked.coupon, "check_coupon")?, checked.usable))
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
        part(answer.into_inner().order, "place_order")
    }

    pub async fn read(&self, order: &Order) -> Result<Order, Status> {
        self.get_order(&order.shopper_id, &order.order_id).await
    }

    pub async fn cancel(&self, order: &Order) -> Result<Order, Status> {
        self.cancel_order(&order.shopper_id, &order.order_id).await
    }

    calls! {
        look_up(campaign_id: &str, shopper_id: &str, request_id: &str)
            = claims.get_claim(GetClaimRequest) -> GetClaimResponse;
        watch_claim(campaign_id: &str, shopper_id: &str, request_id: &str)
            = claims.watch_claim(WatchClaimRequest) -> Streaming<WatchClaimResponse>;
        get_coupon(shopper_id: &str, coupon_code: &str)
            = wallet.get_coupon(GetCouponRequest).coupon -> Coupon;
        get_order(shopper_id: &str, order_id: &str)
            = orders.get_order(GetOrderRequest).order -> Order;
        cancel_order(shopper_id: &str, order_id: &str)
            = orders.cancel_order(CancelOrderRequest).order -> Order;
        /// The first orders of a shopper, the newest first.
        list_orders(shopper_id: &str, page_size: u32)
            = orders.list_orders(ListOrdersRequest) -> ListOrdersResponse;
        watch_order(shopper_id: &str, order_id: &str)
            = orders.watch_order(WatchOrderRequest) -> Streaming<WatchOrderResponse>;
    }
}

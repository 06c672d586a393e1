//! The suite as its users meet it: real processes, a real PostgreSQL, real certificates and tokens.

mod answers;
mod books;
mod fulfilment;
mod staff;
mod waiting;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    stack::{Stack, StackOptions},
};
use tidegate_proto::{
    gateway::v1::{
        CancelOrderRequest, CheckCouponRequest, ClaimCouponRequest, GetOrderRequest, IssuedClaim,
        PlaceOrderRequest, claim_coupon_response, claim_service_client::ClaimServiceClient,
        order_service_client::OrderServiceClient, wallet_service_client::WalletServiceClient,
    },
    r#type::v1::{Coupon, Money, Order, OrderLine},
};
use tidegate_replay::collector::Collector;
use tonic::{Code, Request, Response, Status, transport::Channel};
use uuid::Uuid;

pub use answers::{Refused, refused};
pub use books::{OrderBooks, SlotBooking};
pub use fulfilment::FulfilmentDesk;
pub use staff::{CampaignTerms, StaffDesk, store_of};
pub use waiting::{Answer, Shopper};

/// What [`Suite::claim`] says of a claim that was given a place in the queue.
pub const QUEUED: &str = "the claim waits in the queue";
const POLL: Duration = Duration::from_millis(50);
/// How long a claim is sent again that was told to come back.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running suite, with the hands of a chatbot and of staff.
pub struct Suite {
    pub stack: Stack,
    /// The traces received so far.
    pub collector: Collector,
    /// A token that may do all that chatbots may.
    pub token: String,
}

impl Suite {
    /// Starts a suite of its own for one test, in an empty folder.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// The same, with other options.
    pub async fn start_with(change: impl FnOnce(&mut StackOptions)) -> Result<Self> {
        let mut options = Self::options();
        let collector = Collector::start().await?;
        options.otlp_endpoint = Some(collector.endpoint());
        change(&mut options);
        let stack = Stack::start(options).await?;
        let token = stack
            .credentials()
            .sign(&Token::new("chatbot", &Scope::CHATBOT))?;
        Ok(Self {
            stack,
            collector,
            token,
        })
    }

    /// Options for a suite in a folder of its own: traced whole, started afresh.
    pub fn options() -> StackOptions {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/e2e")
            .join(Uuid::new_v4().to_string());
        let mut options = StackOptions::new(folder);
        options.drain_ms = 3_000;
        options
    }

    /// Ends the suite and removes its folder.
    pub async fn end(self) -> Result<()> {
        self.stack.shutdown_and_remove().await
    }

    pub fn staff(&self) -> Result<StaffDesk> {
        StaffDesk::new(&self.stack)
    }

    /// A connection to a gateway, without a certificate, as chatbots have.
    pub fn door(&self, gateway: &str) -> Result<Channel> {
        self.stack.channel(None, gateway)
    }

    /// A connection to any replica with the certificate of `identity`.
    pub fn inside(&self, identity: Identity, replica: &str) -> Result<Channel> {
        self.stack.channel(Some(identity), replica)
    }

    /// A request with the suite's token.
    pub fn request<T>(&self, message: T) -> Request<T> {
        with_token(message, &self.token)
    }

    /// Claims through the first gateway.
    pub async fn claim(
        &self,
        campaign: &str,
        shopper: &str,
        request_id: &str,
    ) -> Result<IssuedClaim, Status> {
        self.claim_at("gateway-0", claim_of(campaign, shopper, request_id))
            .await
            .map(|response| response.into_inner())
    }

    /// Claims through a gateway of one's choice; the answer comes with its metadata.
    pub async fn claim_at(
        &self,
        gateway: &str,
        message: ClaimCouponRequest,
    ) -> Result<Response<IssuedClaim>, Status> {
        self.claim_over(self.door(gateway).map_err(internal)?, message)
            .await
    }

    /// Claims over a connection that there is; one address may have only so many.
    pub async fn claim_over(
        &self,
        door: Channel,
        message: ClaimCouponRequest,
    ) -> Result<Response<IssuedClaim>, Status> {
        let response = ClaimServiceClient::new(door)
            .claim_coupon(self.request(message))
            .await?;
        let (metadata, message, extensions) = response.into_parts();
        let Some(claim_coupon_response::Outcome::Issued(issued)) = message.outcome else {
            return Err(Status::internal(QUEUED));
        };
        Ok(Response::from_parts(metadata, issued, extensions))
    }

    /// The code of a fresh coupon.
    pub async fn coupon(&self, campaign: &str, shopper: &str) -> Result<String> {
        let request_id = Uuid::new_v4().to_string();
        let began = Instant::now();
        loop {
            match self.claim(campaign, shopper, &request_id).await {
                // Asked to come back, or given a place, as anybody may be while a campaign is young
                // and the machine busy.
                Err(status)
                    if (status.code() == Code::Unavailable || status.message() == QUEUED)
                        && began.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(POLL).await;
                }
                outcome => {
                    let coupon = outcome?.coupon;
                    return Ok(coupon.map(|coupon| coupon.code).unwrap_or_default());
                }
            }
        }
    }

    /// Places an order at store-1 with a coupon.
    pub async fn order(
        &self,
        shopper: &str,
        request_id: &str,
        code: &str,
    ) -> Result<Order, Status> {
        self.place(order_of(shopper, request_id, code)).await
    }

    /// Places an order of one's choice.
    pub async fn place(&self, message: PlaceOrderRequest) -> Result<Order, Status> {
        let mut orders = self.orders().map_err(internal)?;
        let response = orders.place_order(self.request(message)).await?;
        response.into_inner().order.ok_or_else(no_order)
    }

    /// The order as it stands.
    pub async fn read(&self, order: &Order) -> Result<Order, Status> {
        let message = GetOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
        };
        let mut orders = self.orders().map_err(internal)?;
        let response = orders.get_order(self.request(message)).await?;
        response.into_inner().order.ok_or_else(no_order)
    }

    /// Cancels an order as its shopper.
    pub async fn cancel(&self, order: &Order) -> Result<Order, Status> {
        let message = CancelOrderRequest {
            shopper_id: order.shopper_id.clone(),
            order_id: order.order_id.clone(),
        };
        let mut orders = self.orders().map_err(internal)?;
        let response = orders.cancel_order(self.request(message)).await?;
        response.into_inner().order.ok_or_else(no_order)
    }

    /// The coupon, and whether it could pay for an order now.
    pub async fn check(&self, shopper: &str, code: &str) -> Result<(Coupon, bool), Status> {
        let message = CheckCouponRequest {
            shopper_id: shopper.into(),
            coupon_code: code.into(),
        };
        let mut wallet = self.wallet().map_err(internal)?;
        let checked = wallet
            .check_coupon(self.request(message))
            .await?
            .into_inner();
        Ok((checked.coupon.unwrap_or_default(), checked.usable))
    }

    /// What those who make the orders do.
    pub fn fulfilment(&self) -> Result<FulfilmentDesk> {
        FulfilmentDesk::new(&self.stack)
    }

    pub fn wallet(&self) -> Result<WalletServiceClient<Channel>> {
        Ok(WalletServiceClient::new(self.door("gateway-0")?))
    }

    pub fn orders(&self) -> Result<OrderServiceClient<Channel>> {
        Ok(OrderServiceClient::new(self.door("gateway-0")?))
    }

    /// One number of a replica's metrics: the sum of all samples of that name whose labels hold `label`.
    pub async fn metric(&self, replica: &str, name: &str, label: &str) -> Result<f64> {
        let (status, text) = self.stack.replica(replica)?.get("/metrics").await?;
        if status != 200 {
            bail!("{replica} answered {status} to /metrics");
        }
        let samples = text.lines().filter(|line| {
            let sample = line.split([' ', '{']).next();
            sample == Some(name) && line.contains(label)
        });
        Ok(samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}

fn internal(error: anyhow::Error) -> Status {
    Status::internal(error.to_string())
}

fn no_order() -> Status {
    Status::internal("the answer holds no order")
}

/// A request with a token.
pub fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(value) = format!("Bearer {token}").parse() {
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// A claim of any tier.
pub fn claim_of(campaign: &str, shopper: &str, request_id: &str) -> ClaimCouponRequest {
    ClaimCouponRequest {
        campaign_id: campaign.into(),
        shopper_id: shopper.into(),
        request_id: request_id.into(),
        tier_id: String::new(),
        ticket: String::new(),
    }
}

/// One milk tea at store-1.
pub fn order_of(shopper: &str, request_id: &str, code: &str) -> PlaceOrderRequest {
    let line = OrderLine {
        sku: "milk-tea".into(),
        quantity: 1,
        unit_price: Some(Money {
            currency_code: "CNY".into(),
            minor_units: 2_800,
        }),
    };
    PlaceOrderRequest {
        shopper_id: shopper.into(),
        request_id: request_id.into(),
        store_id: "store-1".into(),
        lines: vec![line],
        coupon_code: code.into(),
        latest_acceptable_at: None,
        suggest_stores: false,
    }
}

/// Tries until it works; the last error if it does not work in time.
pub async fn eventually<T, E, Trying>(
    limit: Duration,
    mut attempt: impl FnMut() -> Trying,
) -> Result<T, E>
where
    Trying: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(_) if began.elapsed() < limit => tokio::time::sleep(POLL).await,
            outcome => return outcome,
        }
    }
}

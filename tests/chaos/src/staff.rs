//! What staff do during a round: make campaigns, halt and resume one, and ask for the suite's own audit.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use futures_util::stream;
use tidegate_local::{
    credentials::{Identity, Scope, Token},
    stack::Stack,
};
use tidegate_proto::{
    order_intake::v1::{Store, UpsertStoresRequest, store_service_client::StoreServiceClient},
    quota::v1::{
        AuditCampaignRequest, AuditCampaignResponse, CreateCampaignRequest, GetCampaignRequest,
        SetCampaignControlRequest, campaign_service_client::CampaignServiceClient,
    },
    r#type::v1::{Campaign, IssuanceControl, IssuanceState, RedemptionControl, Tier},
};
use tokio::time::{Instant, sleep};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{campaigns::Terms, suite::TOKEN_LIFETIME};

/// The store that has room for everybody.
pub const STORE_ID: &str = "store-1";
/// Stores that are full soon.
pub const SMALL_STORES: u32 = 8;
const ORDERS_PER_SLOT: u32 = 10_000;
const ORDERS_PER_SMALL_SLOT: u32 = 2;
const SMALL_SLOT_MINUTES: u32 = 1;
const CALL_LIMIT: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(100);
/// Clocks move by hours, so campaigns open and close days away.
const DAYS: Duration = Duration::from_secs(3 * 24 * 3_600);
const COUPON_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Staff with a certificate and a token.
#[derive(Debug, Clone)]
pub struct Staff {
    quota: CampaignServiceClient<Channel>,
    stores: StoreServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Staff {
    /// Staff of a stack, who call the first replica of each service.
    ///
    /// # Errors
    /// The credentials cannot be read.
    pub fn new(stack: &Stack) -> Result<Self> {
        Self::who_call(stack, "quota-0", "order-intake-0")
    }

    /// Staff of a stack, who call these replicas.
    ///
    /// # Errors
    /// The credentials cannot be read, or there is no such replica.
    pub fn who_call(stack: &Stack, quota: &str, order_intake: &str) -> Result<Self> {
        let token = stack.credentials().sign(&Token {
            lifetime: TOKEN_LIFETIME,
            ..Token::new("staff", &Scope::STAFF)
        })?;
        let channel = |replica| stack.channel(Some(Identity::Staff), replica);
        Ok(Self {
            quota: CampaignServiceClient::new(channel(quota)?),
            stores: StoreServiceClient::new(channel(order_intake)?),
            authorization: format!("Bearer {token}").parse()?,
        })
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        request.set_timeout(CALL_LIMIT);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        request
    }

    /// Makes the big store and the small ones.
    ///
    /// # Errors
    /// Order-intake refuses.
    pub async fn make_stores(&self) -> Result<()> {
        let store = |store_id: String, orders_per_slot| Store {
            display_name: format!("Milk tea of {store_id}"),
            store_id,
            area: "centre".to_owned(),
            orders_per_slot: Some(orders_per_slot),
            ..Store::default()
        };
        let mut stores = vec![store(STORE_ID.to_owned(), ORDERS_PER_SLOT)];
        stores.extend((0..SMALL_STORES).map(|number| Store {
            slot_minutes: Some(SMALL_SLOT_MINUTES),
            ..store(small_store_id(number), ORDERS_PER_SMALL_SLOT)
        }));
        let messages = stream::iter([UpsertStoresRequest {
            stores,
            ..UpsertStoresRequest::default()
        }]);
        let not_made = |status| refused("order-intake did not make the stores", &status);
        let mut stores = self.stores.clone();
        let answers = stores.upsert_stores(self.request(messages)).await;
        let answer = answers.map_err(not_made)?.into_inner().message().await;
        answer
            .map_err(not_made)?
            .context("order-intake did not answer for the stores")?;
        Ok(())
    }

    /// Makes a campaign that is open.
    ///
    /// # Errors
    /// Quota refuses.
    pub async fn make_campaign(&self, terms: &Terms) -> Result<Campaign> {
        let now = SystemTime::now();
        let tier = |(tier_id, stock): &(&str, u64)| Tier {
            tier_id: (*tier_id).to_owned(),
            face_value_minor_units: 2_500,
            stock: *stock,
            terms: None,
        };
        let message = CreateCampaignRequest {
            campaign_id: terms.campaign_id.clone(),
            currency_code: "CNY".to_owned(),
            tiers: terms.tiers.iter().map(tier).collect(),
            limit_per_shopper: terms.limit_per_shopper,
            opens_at: Some((now - DAYS).into()),
            closes_at: Some((now + DAYS).into()),
            coupon_validity: Some(COUPON_VALIDITY.try_into()?),
            ..CreateCampaignRequest::default()
        };
        let answer = self
            .quota
            .clone()
            .create_campaign(self.request(message))
            .await;
        let answer = answer.map_err(|status| refused("quota did not make a campaign", &status))?;
        answer
            .into_inner()
            .campaign
            .context("quota's answer holds no campaign")
    }

    /// Wants issuing to be halted or open, and asks until that is so; none if it is not at `until`. The acknowledgement is what is waited for.
    pub async fn control(
        &self,
        campaign_id: &str,
        issuance: IssuanceControl,
        until: impl Fn() -> Option<Instant>,
    ) -> Option<()> {
        let wanted = match issuance {
            IssuanceControl::Halted => IssuanceState::Halted,
            _ => IssuanceState::Open,
        };
        while until().is_none_or(|until| Instant::now() < until) {
            if let Ok(campaign) = self.control_once(campaign_id, issuance).await {
                let control = campaign.control.unwrap_or_default();
                if control.issuance_state() == wanted {
                    return Some(());
                }
            }
            sleep(AGAIN).await;
        }
        None
    }

    async fn control_once(
        &self,
        campaign_id: &str,
        issuance: IssuanceControl,
    ) -> Result<Campaign, Status> {
        let message = GetCampaignRequest {
            campaign_id: campaign_id.to_owned(),
        };
        let mut quota = self.quota.clone();
        let answer = quota.get_campaign(self.request(message)).await?;
        let campaign = answer.into_inner().campaign.unwrap_or_default();
        let control = campaign.control.clone().unwrap_or_default();
        if control.issuance() == issuance {
            return Ok(campaign);
        }
        let message = SetCampaignControlRequest {
            campaign_id: campaign_id.to_owned(),
            issuance: issuance.into(),
            redemption: RedemptionControl::Open.into(),
            reason: "chaos".to_owned(),
            resume_at: None,
            epoch: control.epoch,
        };
        quota
            .set_campaign_control(self.request(message))
            .await?
            .into_inner()
            .campaign
            .ok_or_else(|| Status::internal("the answer holds no campaign"))
    }

    /// The suite's own audit of a campaign, asked for again until it could be made.
    ///
    /// # Errors
    /// It cannot be made within `limit`.
    pub async fn audit(&self, campaign_id: &str, limit: Duration) -> Result<AuditCampaignResponse> {
        let began = Instant::now();
        loop {
            let message = AuditCampaignRequest {
                campaign_id: campaign_id.to_owned(),
            };
            let answer = self
                .quota
                .clone()
                .audit_campaign(self.request(message))
                .await;
            match answer {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if began.elapsed() > limit => {
                    return Err(refused("quota did not audit a campaign", &status));
                }
                Err(_) => sleep(AGAIN).await,
            }
        }
    }
}

/// The id of a small store, counted from 0.
pub fn small_store_id(number: u32) -> String {
    format!("small-{}", number + 1)
}

/// One sentence of a refusal; the status itself would repeat its causes.
fn refused(what: &str, status: &Status) -> anyhow::Error {
    anyhow!("{what} ({:?}: {})", status.code(), status.message())
}

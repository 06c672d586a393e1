//! Quota as a whole in this process, over mutual TLS, with staff and an issuance.

use std::time::Duration;

use crate::issuance::Issuance;
use tidegate_auth::Identity;
use tidegate_proto::{
    quota::v1::{
        campaign_service_client::CampaignServiceClient, lease_service_client::LeaseServiceClient, *,
    },
    r#type::v1::{Campaign, CouponTerms, Tier},
};
use tidegate_quota::{Config, build, migrations};
use tidegate_rpc::wire;
use tidegate_test_kit::{Running, TestDatabase, heard, until};
use tidegate_types::{Reason, Timestamp};
use tokio::time::sleep;
use tonic::{Request, transport::Channel};
use uuid::Uuid;

pub struct Quota {
    _database: TestDatabase,
    pub issuance: Issuance,
    running: Running,
}

impl Quota {
    /// Starts with leases that time out after a second.
    pub async fn start() -> Self {
        let database = TestDatabase::migrated(&migrations()).await;
        let (issuance, _) = Issuance::start().await;
        let config = Config {
            lease_retention: Duration::from_secs(24 * 3_600),
            database: database.open(),
            migrate_on_start: false,
            tokens: issuance.credentials.token_settings(),
            issuance_addresses: vec![issuance.address.to_string()],
            lease_ttl: Duration::from_secs(1),
            audit_interval: Duration::from_secs(1),
        };
        let build = |host| build(config, host);
        Self {
            running: Running::start(&issuance.credentials, Identity::Quota, build).await,
            _database: database,
            issuance,
        }
    }

    pub fn channel(&self, identity: Identity) -> Channel {
        self.running.channel(identity)
    }

    pub fn campaigns(&self) -> CampaignServiceClient<Channel> {
        CampaignServiceClient::new(self.channel(Identity::Staff))
    }

    fn leases(&self) -> LeaseServiceClient<Channel> {
        LeaseServiceClient::new(self.channel(Identity::Issuance))
    }

    /// A call of a colleague who may do everything.
    pub fn by_staff<T>(&self, message: T) -> Request<T> {
        let credentials = &self.issuance.credentials;
        let scopes = "campaigns:write campaigns:read changes:read";
        let mut request = credentials.with_token(message, scopes, None);
        request.set_timeout(Duration::from_secs(10));
        request
    }

    pub async fn create(&self) -> Campaign {
        let now = Timestamp::now_utc();
        let request = self.by_staff(CreateCampaignRequest {
            campaign_id: "spring".to_owned(),
            currency_code: "CNY".to_owned(),
            tiers: vec![Tier {
                tier_id: "cup".to_owned(),
                face_value_minor_units: 2_500,
                stock: 100,
                terms: Some(CouponTerms {
                    minimum_spend_minor_units: 3_000,
                    areas: vec!["west".to_owned()],
                    store_ids: Vec::new(),
                }),
            }],
            limit_per_shopper: 1,
            opens_at: Some(wire::timestamp(now)),
            closes_at: Some(wire::timestamp(now + Duration::from_secs(3_600))),
            coupon_validity: Some(wire::duration(Duration::from_secs(3_600))),
            display_name: "奶茶节".to_owned(),
            description: "for the spring".to_owned(),
            reason: String::new(),
        });
        let made = self.campaigns().create_campaign(request).await;
        made.unwrap().into_inner().campaign.unwrap()
    }

    pub async fn acquire(&self, campaign: &Campaign) -> Result<AcquireLeaseResponse, Reason> {
        let request = AcquireLeaseRequest {
            lease_id: Uuid::new_v4().to_string(),
            campaign_number: campaign.campaign_number,
            holder_id: "issuance-0/1".to_owned(),
            wanted_of_any_tier: 5,
            ..AcquireLeaseRequest::default()
        };
        heard(self.leases().acquire_lease(request).await)
    }

    async fn get(&self) -> Campaign {
        let request = self.by_staff(GetCampaignRequest {
            campaign_id: "spring".to_owned(),
        });
        let read = self.campaigns().get_campaign(request).await;
        read.unwrap().into_inner().campaign.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_keeps_its_leases_for_as_long_as_it_renews_them() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    quota.acquire(&campaign).await.unwrap();
    let mut leases = quota.leases();
    // Three times the TTL.
    for _ in 0..60 {
        let renewal = RenewLeasesRequest {
            holder_id: "issuance-0/1".to_owned(),
        };
        leases.renew_leases(renewal).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(quota.get().await.stock[0].leased, 5);
    let is_back = async || quota.get().await.stock[0].leased == 0;
    until("the lease is taken back", is_back).await;
    assert_eq!(quota.get().await.stock[0].free, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_tells_what_it_found_and_what_it_covered() {
    let quota = Quota::start().await;
    let campaign = quota.create().await;
    quota.acquire(&campaign).await.unwrap();
    quota.issuance.state().stray_coupons = 7;
    let request = quota.by_staff(AuditCampaignRequest {
        campaign_id: "spring".to_owned(),
    });
    let audited = heard(quota.campaigns().audit_campaign(request).await).unwrap();
    assert_eq!(audited.difference_count, 1);
    assert_eq!(audited.differences[0].kind, "coupons");
    assert_eq!((audited.tiers[0].coupons, audited.tiers[0].leased), (7, 5));
    assert_eq!(audited.leases, 1);
}

//! Who may call what.

use anyhow::Result;
use tidegate_e2e::{CampaignTerms, Suite, claim_of, refused, with_token};
use tidegate_local::credentials::{Identity, Scope, Token};
use tidegate_proto::{
    gateway::v1::claim_service_client::ClaimServiceClient,
    issuance::v1::{
        IssueCouponsRequest, RedeemCouponsRequest, issuance_service_client::IssuanceServiceClient,
    },
    quota::v1::{
        AcquireLeaseRequest, GetCampaignRequest, campaign_service_client::CampaignServiceClient,
        lease_service_client::LeaseServiceClient,
    },
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::test(flavor = "multi_thread")]
async fn the_door_opens_for_good_tokens_only() -> Result<()> {
    let suite = Suite::start().await?;
    suite.staff()?.open(CampaignTerms::open("tea", 10)).await?;
    let credentials = suite.stack.credentials();
    let good = Token::new("chatbot", &Scope::CHATBOT);
    let expired = credentials.sign(&Token {
        lifetime: -good.lifetime,
        ..good.clone()
    })?;
    let other_audience = credentials.sign(&Token {
        audience: "elsewhere",
        ..good.clone()
    })?;
    let no_scope = credentials.sign(&Token {
        scopes: &[Scope::WalletRead],
        ..good.clone()
    })?;
    let bound = credentials.sign(&Token {
        shopper_id: Some("alice"),
        ..good.clone()
    })?;
    let cases = [
        (
            expired.as_str(),
            "alice",
            Code::Unauthenticated,
            "UNAUTHENTICATED",
        ),
        (
            other_audience.as_str(),
            "alice",
            Code::Unauthenticated,
            "UNAUTHENTICATED",
        ),
        ("garbage", "alice", Code::Unauthenticated, "UNAUTHENTICATED"),
        (
            no_scope.as_str(),
            "alice",
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
        (
            bound.as_str(),
            "bob",
            Code::PermissionDenied,
            "PERMISSION_DENIED",
        ),
    ];
    let mut door = ClaimServiceClient::new(suite.door("gateway-0")?);
    for (token, shopper, code, reason) in cases {
        let told = refused(
            &door
                .claim_coupon(with_token(claim_of("tea", shopper, "r-1"), token))
                .await
                .err()
                .unwrap(),
        );
        assert_eq!(
            (told.code, told.reason.as_str(), told.pushback.as_deref()),
            (code, reason, Some("-1")),
            "{shopper}"
        );
    }
    let told = refused(
        &door
            .claim_coupon(claim_of("tea", "alice", "r-1"))
            .await
            .err()
            .unwrap(),
    );
    assert_eq!(
        (told.code, told.reason.as_str()),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    assert!(
        door.claim_coupon(with_token(claim_of("tea", "alice", "r-1"), &bound))
            .await
            .is_ok()
    );
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn inner_services_answer_those_they_are_for_and_nobody_else() -> Result<()> {
    let suite = Suite::start().await?;
    let staff_token = suite
        .stack
        .credentials()
        .sign(&Token::new("staff", &Scope::STAFF))?;
    let code_of = |outcome: Result<(), tonic::Status>| outcome.err().map(|status| status.code());

    for replica in ["quota-0", "issuance-0", "order-intake-0"] {
        let stranger = HealthClient::new(suite.stack.channel(None, replica)?)
            .check(HealthCheckRequest::default())
            .await;
        assert!(
            stranger.is_err(),
            "{replica} let a caller in without a certificate"
        );
        let known = HealthClient::new(suite.inside(Identity::Staff, replica)?)
            .check(HealthCheckRequest::default())
            .await;
        assert!(known.is_ok(), "{replica}: {known:?}");
    }
    let lease = AcquireLeaseRequest::default();
    for identity in [
        Identity::Gateway,
        Identity::Staff,
        Identity::Chatbot,
        Identity::OrderIntake,
    ] {
        let outcome = LeaseServiceClient::new(suite.inside(identity, "quota-0")?)
            .acquire_lease(with_token(lease.clone(), &staff_token))
            .await;
        assert_eq!(
            code_of(outcome.map(drop)),
            Some(Code::PermissionDenied),
            "{identity:?}"
        );
    }
    let redeem = IssuanceServiceClient::new(suite.inside(Identity::Gateway, "issuance-0")?)
        .redeem_coupons(RedeemCouponsRequest::default())
        .await;
    assert_eq!(code_of(redeem.map(drop)), Some(Code::PermissionDenied));
    let other_lanes = IssueCouponsRequest {
        lane: 0,
        lanes: 3,
        items: Vec::new(),
    };
    let mismatch = IssuanceServiceClient::new(suite.inside(Identity::Gateway, "issuance-0")?)
        .issue_coupons(other_lanes)
        .await
        .err()
        .unwrap();
    assert_eq!(refused(&mismatch).reason, "MISCONFIGURED");

    let read = GetCampaignRequest {
        campaign_id: "tea".into(),
    };
    let chatbot = CampaignServiceClient::new(suite.inside(Identity::Chatbot, "quota-0")?)
        .get_campaign(with_token(read.clone(), &staff_token))
        .await;
    assert_eq!(
        code_of(chatbot.map(drop)),
        Some(Code::PermissionDenied),
        "a staff token counts only over a staff connection"
    );
    let staff = CampaignServiceClient::new(suite.inside(Identity::Staff, "quota-0")?)
        .get_campaign(with_token(read, &staff_token))
        .await;
    assert_eq!(refused(&staff.err().unwrap()).reason, "CAMPAIGN_NOT_FOUND");
    suite.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services_of_each_process() -> Result<()> {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };

    let suite = Suite::start().await?;
    let expected = [
        ("gateway-0", "tidegate.gateway.v1.ClaimService"),
        ("quota-0", "tidegate.quota.v1.LeaseService"),
        ("issuance-0", "tidegate.issuance.v1.IssuanceService"),
        ("order-intake-0", "tidegate.order_intake.v1.StoreService"),
    ];
    for (replica, service) in expected {
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut reflection = ServerReflectionClient::new(suite.inside(Identity::Staff, replica)?);
        let answer = reflection
            .server_reflection_info(tokio_stream::iter([question]))
            .await?
            .into_inner()
            .message()
            .await?;
        let Some(MessageResponse::ListServicesResponse(list)) =
            answer.and_then(|answer| answer.message_response)
        else {
            panic!("{replica} lists nothing")
        };
        assert!(
            list.service.iter().any(|listed| listed.name == service),
            "{replica}: {list:?}"
        );
        let (status, _) = suite.stack.replica(replica)?.get("/livez").await?;
        assert_eq!(status, 200);
    }
    suite.end().await
}

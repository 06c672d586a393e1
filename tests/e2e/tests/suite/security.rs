//! Who may call what.

use anyhow::Result;
use tidegate_client::{Bearer, claim_of, refused};
use tidegate_e2e::{Suite, hold};
use tidegate_local::credentials::{Identity, Scope, Token};
use tidegate_proto::{
    issuance::v1::{IssueCouponsRequest, issuance_service_client::IssuanceServiceClient},
    quota::v1::{GetCampaignRequest, campaign_service_client::CampaignServiceClient},
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_port_answers_those_it_is_for_and_nobody_else() -> Result<()> {
    hold!(Suite::start().await?;
        the_door_opens_for_good_tokens_only,
        inner_services_answer_those_they_are_for_and_nobody_else,
        reflection_lists_the_services_of_each_process,
    )
}

async fn the_door_opens_for_good_tokens_only(suite: &Suite) -> Result<()> {
    suite.open("tea", 10).await?;
    let good = Token::new("chatbot", &Scope::CHATBOT);
    let (mut expired, mut other_audience) = (good.clone(), good.clone());
    expired.lifetime = -good.lifetime;
    other_audience.audience = "elsewhere";
    let (mut no_scope, mut bound) = (good.clone(), good);
    no_scope.scopes = &[Scope::WalletRead];
    bound.shopper_id = Some("alice");
    let sign = |token: &Token<'_>| suite.stack.credentials().sign(token);
    let unauthenticated = (Code::Unauthenticated, "UNAUTHENTICATED");
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED");
    for (token, shopper, expected) in [
        (sign(&expired)?, "alice", unauthenticated),
        (sign(&other_audience)?, "alice", unauthenticated),
        ("garbage".to_owned(), "alice", unauthenticated),
        (sign(&no_scope)?, "alice", denied),
        (sign(&bound)?, "bob", denied),
    ] {
        let gateway = suite.with(Bearer::of_token(&token)?);
        let told = refused(gateway.claim("tea", shopper, "r-1").await);
        let told = told.is(expected.0, expected.1);
        assert_eq!(told.pushback.as_deref(), Some("-1"), "{shopper}");
    }
    let without = claim_of("tea", "alice", "r-1");
    let told = refused(suite.claims().claim_coupon(without).await);
    told.is(unauthenticated.0, unauthenticated.1);
    let mine = suite.with(Bearer::of_token(&sign(&bound)?)?);
    mine.claim("tea", "alice", "r-1").await?;
    Ok(())
}

async fn inner_services_answer_those_they_are_for_and_nobody_else(suite: &Suite) -> Result<()> {
    let staff = &suite.staff;
    for replica in ["quota-0", "issuance-0", "order-intake-0"] {
        let mut stranger = HealthClient::new(suite.stack.channel(None, replica)?);
        let answer = stranger.check(HealthCheckRequest::default()).await;
        assert!(answer.is_err(), "{replica} needs no certificate");
        let mut known = HealthClient::new(suite.inside(Identity::Staff, replica)?);
        let answer = known.check(HealthCheckRequest::default()).await;
        assert!(answer.is_ok(), "{replica}: {answer:?}");
    }
    let gateway = suite.inside(Identity::Gateway, "issuance-0")?;
    let mut issuance = IssuanceServiceClient::new(gateway);
    let other_lanes = IssueCouponsRequest {
        lane: 0,
        lanes: 3,
        items: Vec::new(),
    };
    refused(issuance.issue_coupons(other_lanes).await).because("MISCONFIGURED");

    let read = staff.request(GetCampaignRequest {
        campaign_id: "nothing".into(),
    });
    let mut chatbot = CampaignServiceClient::new(suite.inside(Identity::Chatbot, "quota-0")?);
    let over_a_chatbots_connection = chatbot.get_campaign(read).await.unwrap_err();
    assert_eq!(over_a_chatbots_connection.code(), Code::PermissionDenied);
    refused(staff.read("nothing").await).because("CAMPAIGN_NOT_FOUND");
    Ok(())
}

async fn reflection_lists_the_services_of_each_process(suite: &Suite) -> Result<()> {
    for (replica, service) in [
        ("gateway-0", "tidegate.gateway.v1.ClaimService"),
        ("quota-0", "tidegate.quota.v1.LeaseService"),
        ("issuance-0", "tidegate.issuance.v1.IssuanceService"),
        ("order-intake-0", "tidegate.order_intake.v1.StoreService"),
    ] {
        let question = tokio_stream::iter([ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        }]);
        let mut reflection = ServerReflectionClient::new(suite.inside(Identity::Staff, replica)?);
        let answers = reflection.server_reflection_info(question).await?;
        let answer = answers.into_inner().message().await?;
        let Some(MessageResponse::ListServicesResponse(list)) =
            answer.and_then(|answer| answer.message_response)
        else {
            panic!("{replica} lists nothing")
        };
        let is_listed = list.service.iter().any(|listed| listed.name == service);
        assert!(is_listed, "{replica}: {list:?}");
        let (status, _) = suite.stack.replica(replica)?.get("/livez").await?;
        assert_eq!(status, 200);
    }
    Ok(())
}

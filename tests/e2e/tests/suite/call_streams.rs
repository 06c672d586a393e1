//! Many calls over one stream: the same calls, with the same answers, for less.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{
    TryStreamExt as _,
    future::{try_join, try_join_all},
    stream,
};
use tidegate_client::{Bearer, Caller, claim_of, framed, order_of, refused, soon};
use tidegate_e2e::{Suite, hold};
use tidegate_local::{
    credentials::{Scope, Token},
    stack::Service,
};
use tidegate_proto::gateway::v1::{
    ClaimCouponResponse, IssuedClaim, StreamCallsRequest, call_service_client::CallServiceClient,
    claim_coupon_response::Outcome,
};
use tokio::{runtime::Handle, time::sleep};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_a_stream_are_calls_like_others() -> Result<()> {
    hold!(Suite::start().await?;
        a_claim_over_a_stream_is_the_claim_of_its_request_id,
        a_stream_and_each_of_its_calls_need_a_token_for_them,
        every_method_of_one_answer_can_be_called_over_a_stream,
        what_a_gateway_that_ends_was_asked_over_streams_is_answered_or_asked_again_elsewhere,
    )
}

async fn over_streams(suite: &Suite, bearer: &Bearer) -> Result<Caller> {
    let gateways = suite.stack.addresses(Service::Gateway);
    let credentials = Some(suite.stack.credentials());
    let (count, threads) = (gateways.len(), Handle::current());
    let caller = Caller::connect(&gateways, count, credentials, bearer, &threads, |_| ());
    Ok(caller.await?.over_streams())
}

fn chatbot(suite: &Suite) -> Result<Bearer> {
    Bearer::sign(suite.stack.credentials(), "chatbot", &Scope::CHATBOT)
}

fn issued(answer: ClaimCouponResponse) -> Result<IssuedClaim> {
    match answer.outcome {
        Some(Outcome::Issued(issued)) => Ok(issued),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn a_claim_over_a_stream_is_the_claim_of_its_request_id(suite: &Suite) -> Result<()> {
    suite.open("tea", 10).await?;
    let caller = over_streams(suite, &chatbot(suite)?).await?;
    let answer = caller
        .call(framed(&claim_of("tea", "alice", "r-1")))
        .await?;
    ensure!(answer.trace_id.len() == 32, "{answer:?}");
    let (first, again) = (issued(answer)?, suite.claim("tea", "alice", "r-1").await?);
    assert!(!first.replayed && again.replayed);
    assert_eq!(
        first.coupon.context("no coupon")?.code,
        again.coupon.context("no coupon")?.code
    );
    let nothing = caller
        .call(framed(&claim_of("nothing", "alice", "r-1")))
        .await;
    refused(nothing).is(Code::NotFound, "CAMPAIGN_NOT_FOUND");
    Ok(())
}

async fn a_stream_and_each_of_its_calls_need_a_token_for_them(suite: &Suite) -> Result<()> {
    suite.open("scopes", 10).await?;
    let only = |scopes| -> Result<Bearer> {
        let token = Token {
            scopes,
            ..Token::new("chatbot", &Scope::CHATBOT)
        };
        Bearer::of_token(&suite.stack.credentials().sign(&token)?)
    };
    let claims = over_streams(suite, &only(&[Scope::ClaimsWrite])?).await?;
    let answer = claims
        .call(framed(&claim_of("scopes", "bob", "r-1")))
        .await?;
    let code = issued(answer)?.coupon.context("no coupon")?.code;
    let order = claims.call(framed(&order_of("bob", "o-1", &code))).await;
    refused(order).is(Code::PermissionDenied, "PERMISSION_DENIED");
    let reader = suite.with(only(&[Scope::WalletRead])?);
    let asked = reader.request(stream::empty::<StreamCallsRequest>());
    let channel = suite.stack.channel(None, "gateway-0")?;
    let opened = CallServiceClient::new(channel).stream_calls(asked).await;
    refused(opened).is(Code::PermissionDenied, "PERMISSION_DENIED");
    Ok(())
}

async fn every_method_of_one_answer_can_be_called_over_a_stream(suite: &Suite) -> Result<()> {
    let services =
        ["Claim", "Wallet", "Order"].map(|name| format!("tidegate.gateway.v1.{name}Service"));
    let names: Vec<_> = services.iter().map(String::as_str).collect();
    let streams = tidegate_proto::streaming_methods();
    let methods = tidegate_proto::methods(&names).into_iter();
    let methods: Vec<_> = methods.filter(|method| !streams.contains(method)).collect();
    assert_eq!(methods.len(), 10);
    // Without any field each is told which are missing, and by its own method.
    let calls = methods.iter().map(|method| StreamCallsRequest {
        method: method.trim_start_matches('/').to_owned(),
        ..StreamCallsRequest::default()
    });
    let request = suite.request(stream::iter(calls.collect::<Vec<_>>()));
    let channel = suite.stack.channel(None, "gateway-0")?;
    let answers = CallServiceClient::new(channel)
        .stream_calls(request)
        .await?;
    let answers: Vec<_> = answers.into_inner().try_collect().await?;
    assert_eq!(answers.len(), methods.len());
    for answer in answers {
        assert_eq!(
            Code::from_i32(answer.code),
            Code::InvalidArgument,
            "{answer:?}"
        );
    }
    Ok(())
}

async fn what_a_gateway_that_ends_was_asked_over_streams_is_answered_or_asked_again_elsewhere(
    suite: &mut Suite,
) -> Result<()> {
    const SHOPPERS: u64 = 300;
    suite.open("ends", SHOPPERS).await?;
    let caller = over_streams(suite, &chatbot(suite)?).await?;
    let claims = (0..SHOPPERS).map(async |number| {
        sleep(Duration::from_millis(5 * number)).await;
        let body = framed(&claim_of("ends", &format!("shopper-{number}"), "r-1"));
        let answer = soon(async || caller.call(body.clone()).await).await?;
        let coupon = issued(answer)?.coupon;
        Ok(coupon.context("no coupon")?.code)
    });
    let restart = async {
        sleep(Duration::from_millis(300)).await;
        suite.restart(&["gateway-0"]).await
    };
    let (mut codes, ()) = try_join(try_join_all(claims), restart).await?;
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len() as u64, SHOPPERS);
    Ok(())
}

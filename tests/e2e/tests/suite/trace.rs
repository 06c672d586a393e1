//! One shopper's trace.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use tidegate_client::{CampaignTerms, claim_of, eventually, order_of};
use tidegate_e2e::Suite;
use tidegate_proto::gateway::v1::claim_coupon_response;
use tidegate_replay::collector::TraceId;

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_id_leads_from_the_claim_to_the_order_through_every_service() -> Result<()> {
    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    let suite = Suite::start().await?;
    let staff = suite.staff()?;
    staff.make_store().await?;
    staff.open(CampaignTerms::open("tea", 100)).await?;
    let traceparent = format!("00-{TRACE:032x}-b7ad6b7169203331-01");

    let mut claim = suite.request(claim_of("tea", "alice", "r-1"));
    claim
        .metadata_mut()
        .insert("traceparent", traceparent.parse()?);
    let answer = suite.claims().claim_coupon(claim).await?;
    assert_eq!(
        answer
            .metadata()
            .get("tidegate-trace-id")
            .map(|id| id.as_encoded_bytes()),
        Some(format!("{TRACE:032x}").as_bytes())
    );
    let Some(claim_coupon_response::Outcome::Issued(issued)) = answer.into_inner().outcome else {
        bail!("no coupon")
    };
    let coupon = issued.coupon.unwrap_or_default();
    assert_eq!(coupon.claim_trace_id, format!("{TRACE:032x}"));
    let mut order = suite.request(order_of("alice", "o-1", &coupon.code));
    order
        .metadata_mut()
        .insert("traceparent", traceparent.parse()?);
    suite.orders().place_order(order).await?;

    let trace_id = TraceId::from(TRACE.to_be_bytes());
    let expected: BTreeSet<_> = ["gateway", "issuance", "order-intake", "quota"].into();
    eventually(Duration::from_secs(20), || async {
        let spans = suite.collector.trace(trace_id);
        let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
        if expected.is_subset(&services) {
            Ok(())
        } else {
            bail!("the trace has the services {services:?}")
        }
    })
    .await?;
    suite.end().await
}

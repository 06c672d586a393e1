//! One shopper's trace.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use tidegate_client::{claim_of, order_of, soon};
use tidegate_e2e::Suite;
use tidegate_proto::gateway::v1::claim_coupon_response::Outcome;
use tidegate_replay::collector::TraceId;

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_id_leads_from_the_claim_to_the_order_through_every_service() -> Result<()> {
    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    let trace_id = format!("{TRACE:032x}");
    let traceparent = format!("00-{trace_id}-b7ad6b7169203331-01");
    let suite = Suite::start().await?;
    suite.staff.make_store().await?;
    suite.open("tea", 100).await?;

    let mut claim = suite.request(claim_of("tea", "alice", "r-1"));
    let metadata = claim.metadata_mut();
    metadata.insert("traceparent", traceparent.parse()?);
    let answer = suite.claims().claim_coupon(claim).await?;
    assert_eq!(
        answer.metadata().get("tidegate-trace-id"),
        Some(&trace_id.parse()?)
    );
    let Some(Outcome::Issued(issued)) = answer.into_inner().outcome else {
        bail!("no coupon")
    };
    let coupon = issued.coupon.unwrap_or_default();
    assert_eq!(coupon.claim_trace_id, trace_id);
    let mut order = suite.request(order_of("alice", "o-1", &coupon.code));
    let metadata = order.metadata_mut();
    metadata.insert("traceparent", traceparent.parse()?);
    suite.orders().place_order(order).await?;

    let expected: BTreeSet<_> = ["gateway", "issuance", "order-intake", "quota"].into();
    soon(async || {
        let spans = suite.collector.trace(TraceId::from(TRACE.to_be_bytes()));
        let services: BTreeSet<_> = spans.iter().map(|span| &*span.service).collect();
        ensure!(
            expected.is_subset(&services),
            "the trace has the services {services:?}"
        );
        Ok(())
    })
    .await?;
    suite.end().await
}

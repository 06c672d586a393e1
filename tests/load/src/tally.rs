//! What shoppers were answered.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;
use tidegate_proto::{
    gateway::v1::{ClaimCouponResponse, claim_coupon_response::Outcome},
    r#type::v1::CouponState,
};
use tidegate_types::CouponCode;
use tonic::Status;
use tonic_types::StatusExt;

use crate::crowd::{CAMPAIGN_ID, REQUEST_ID};

/// Two significant digits are more than two runs have in common.
const LATENCY_DIGITS: u8 = 2;

/// Counts of one shopper, or of all.
#[derive(Debug, Default)]
pub struct Tally {
    /// Coupons given in the measured stretch.
    issued: u64,
    /// Coupons given at any time, warm-up and end included.
    issued_ever: u64,
    /// Anything else in the measured stretch, by its reason.
    refused: BTreeMap<String, u64>,
    /// Of coupons given in the measured stretch.
    latency_us: Vec<u32>,
}

/// How long answers took, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// What a measured stretch amounted to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcomes {
    /// How long the stretch was.
    pub seconds: f64,
    pub issued: u64,
    /// Coupons given a second.
    pub per_second: f64,
    /// Everything else, by its reason.
    pub refused: BTreeMap<String, u64>,
    pub latency_ms: Latency,
    /// Coupons given before, in and after the stretch.
    pub issued_ever: u64,
}

impl Tally {
    /// Counts an answer that came after `took`; true if it was a coupon.
    pub fn count(
        &mut self,
        answer: &Result<ClaimCouponResponse, Status>,
        took: Duration,
        measured: bool,
    ) -> bool {
        match fault(answer) {
            None => {
                self.issued_ever += 1;
                if measured {
                    self.issued += 1;
                    self.latency_us
                        .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                }
                true
            }
            Some(reason) => {
                if measured {
                    *self.refused.entry(reason).or_default() += 1;
                }
                false
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.issued_ever += other.issued_ever;
        self.latency_us.extend(other.latency_us);
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
    }

    /// What it amounts to over a stretch of this length.
    pub fn outcomes(self, stretch: Duration) -> Result<Outcomes> {
        let mut histogram = Histogram::<u64>::new(LATENCY_DIGITS)?;
        for latency_us in &self.latency_us {
            histogram.record(u64::from(*latency_us))?;
        }
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Ok(Outcomes {
            seconds: stretch.as_secs_f64(),
            issued: self.issued,
            per_second: self.issued as f64 / stretch.as_secs_f64(),
            refused: self.refused,
            latency_ms: Latency {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
            },
            issued_ever: self.issued_ever,
        })
    }
}

/// Why an answer is not the new coupon that was asked for; none if it is.
fn fault(answer: &Result<ClaimCouponResponse, Status>) -> Option<String> {
    let response = match answer {
        Ok(response) => response,
        Err(status) => return Some(reason(status)),
    };
    let Some(Outcome::Issued(issued)) = &response.outcome else {
        return Some("NO_OUTCOME".to_owned());
    };
    let Some(coupon) = &issued.coupon else {
        return Some("NO_COUPON".to_owned());
    };
    let right = !issued.replayed
        && coupon.state() == CouponState::Issued
        && coupon.campaign_id == CAMPAIGN_ID
        && coupon.request_id == REQUEST_ID
        && CouponCode::parse(&coupon.code).is_some();
    (!right).then(|| "WRONG_COUPON".to_owned())
}

fn reason(status: &Status) -> String {
    match status.get_error_details().error_info() {
        Some(info) => info.reason.clone(),
        None => format!("GRPC_{:?}", status.code()).to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_proto::{gateway::v1::IssuedClaim, r#type::v1::Coupon};

    use super::*;

    fn coupon(replayed: bool) -> Result<ClaimCouponResponse, Status> {
        let coupon = Coupon {
            code: "0123456789ABCDEF".to_owned(),
            campaign_id: CAMPAIGN_ID.to_owned(),
            request_id: REQUEST_ID.to_owned(),
            state: CouponState::Issued.into(),
            ..Coupon::default()
        };
        Ok(ClaimCouponResponse {
            outcome: Some(Outcome::Issued(IssuedClaim {
                coupon: Some(coupon),
                replayed,
            })),
            trace_id: String::new(),
        })
    }

    #[test]
    fn only_a_new_coupon_in_the_measured_stretch_counts_for_the_rate() {
        let mut tally = Tally::default();
        let took = Duration::from_millis(4);
        assert!(tally.count(&coupon(false), took, false));
        assert!(tally.count(&coupon(false), took, true));
        assert!(!tally.count(&coupon(true), took, true));
        assert!(!tally.count(&Err(Status::unavailable("gone")), took, true));
        let outcomes = tally.outcomes(Duration::from_secs(2)).unwrap();
        assert_eq!((outcomes.issued, outcomes.issued_ever), (1, 2));
        assert_eq!(outcomes.per_second, 0.5);
        assert_eq!(
            outcomes.refused,
            BTreeMap::from([("GRPC_UNAVAILABLE".into(), 1), ("WRONG_COUPON".into(), 1)])
        );
        assert!((3.9..4.1).contains(&outcomes.latency_ms.p50));
    }
}

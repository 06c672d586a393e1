//! Giving coupons to shoppers.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};
use tidegate_auth::Identity;
use tidegate_proto::issuance::v1::{
    FoundCoupon, Grant, GrantCouponsRequest, GrantResult,
    coupon_admin_service_client::CouponAdminServiceClient, grant_result::Outcome,
};
use uuid::Uuid;

use super::mask;
use crate::{
    contract::json as as_json,
    failure::Failure,
    output::{Column, Output},
    session::Session,
};

const GRANTS_AT_ONCE: usize = 500;

/// To whom coupons are given.
#[derive(Debug, Args)]
pub struct Give {
    campaign: String,
    /// One shopper
    #[arg(long, required_unless_present = "file")]
    shopper: Option<String>,
    /// The tier; any if none is named
    #[arg(long)]
    tier: Option<String>,
    /// Lines `SHOPPER[,TIER]`
    #[arg(short, long, conflicts_with_all = ["shopper", "tier"])]
    file: Option<PathBuf>,
    /// Why; kept in the history
    #[arg(long)]
    reason: String,
    /// What the grants' request ids begin with: a list that is sent again with the same one gives
    /// nobody a second coupon
    #[arg(long)]
    request_id: String,
}

pub(super) async fn run(give: Give, session: &Session) -> Result<Output, Failure> {
    const GRANTED: &[Column] = &[
        ("SHOPPER", "/shopper_id"),
        ("REQUEST", "/request_id"),
        ("OUTCOME", "/outcome"),
        ("TIER", "/coupon/tier_id"),
        ("VALID UNTIL", "/coupon/valid_until"),
    ];
    let grants = grants(&give)?;
    let (campaign_id, reason) = (give.campaign, give.reason);
    let message = |some: &[Grant]| GrantCouponsRequest {
        campaign_id: campaign_id.clone(),
        grants: some.to_vec(),
        reason: reason.clone(),
    };
    let messages: Vec<_> = grants.chunks(GRANTS_AT_ONCE).map(message).collect();
    let say = || tokio_stream::iter(messages.clone());
    let open = |channel, request| async move {
        let mut issuance = CouponAdminServiceClient::new(channel);
        issuance.grant_coupons(request).await
    };
    let mut answers = session.stream(Identity::Issuance, say, open).await?;
    let mut results = Vec::with_capacity(grants.len());
    // Whatever ends the stream, what was answered before is told.
    let ended = loop {
        match answers.message().await {
            Ok(Some(answer)) => results.extend(answer.results),
            Ok(None) => break None,
            Err(status) => break Some(Failure::from(status)),
        }
    };
    let told: Vec<_> = grants.iter().zip(&results).map(granted).collect();
    let is_good = |told: &&Value| told["outcome"] == "granted" || told["outcome"] == "replayed";
    let (good, asked) = (told.iter().filter(is_good).count(), grants.len());
    let answered = told.len();
    let note = format!("{good} of {asked} are granted; {answered} were answered.");
    let output = Output::list(told, GRANTED).with_note(note);
    Ok(match ended {
        Some(failure) => output.with_verdict(failure),
        None if good < asked => output.with_verdict(Failure::NotAll(format!(
            "{} grants were refused or not answered; the same with this --request-id is safe",
            asked - good
        ))),
        None => output,
    })
}

/// What became of one grant; the code is its shopper's alone.
fn granted((asked, result): (&Grant, &GrantResult)) -> Value {
    let (outcome, coupon) = match &result.outcome {
        Some(Outcome::Granted(granted)) => {
            let mut found = FoundCoupon {
                coupon: granted.coupon.clone(),
                ..FoundCoupon::default()
            };
            mask(&mut found);
            let outcome = match granted.replayed {
                true => "replayed",
                false => "granted",
            };
            let coupon = found.coupon.unwrap_or_default();
            (outcome, as_json("tidegate.type.v1.Coupon", &coupon))
        }
        Some(Outcome::Refused(why)) => {
            let name = why.reason().as_str_name();
            (name.trim_start_matches("REASON_"), Value::Null)
        }
        None => ("no outcome", Value::Null),
    };
    json!({
        "shopper_id": asked.shopper_id,
        "request_id": asked.request_id,
        "outcome": outcome,
        "coupon": coupon,
    })
}

fn grants(give: &Give) -> Result<Vec<Grant>, Failure> {
    let grant = |shopper: &str, tier: &str| Grant {
        shopper_id: shopper.to_owned(),
        request_id: request_id_of(&give.request_id, shopper, tier),
        tier_id: tier.to_owned(),
    };
    let Some(file) = &give.file else {
        let tier = give.tier.as_deref().unwrap_or_default();
        let shoppers = give.shopper.iter();
        return Ok(shoppers.map(|shopper| grant(shopper, tier)).collect());
    };
    let text = fs::read_to_string(file);
    let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let grants = lines.map(|line| {
        let (shopper, tier) = line.rsplit_once(',').unwrap_or((line, ""));
        grant(shopper.trim(), tier.trim())
    });
    Ok(grants.collect())
}

/// Of one shopper and tier it is the same in every list, wherever the line stands. It fits the
/// bound of request ids, however long a shopper's id is.
fn request_id_of(list: &str, shopper: &str, tier: &str) -> String {
    let list = Uuid::new_v5(&Uuid::NAMESPACE_OID, list.as_bytes());
    let grant = format!("{shopper} {tier}");
    Uuid::new_v5(&list, grant.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_has_the_same_request_id_wherever_it_stands_and_another_for_another_tier() {
        let long = "s".repeat(128);
        let one = request_id_of("thanks", &long, "cup");
        assert_eq!(one, request_id_of("thanks", &long, "cup"));
        assert!(one.len() <= 64);
        assert_ne!(one, request_id_of("thanks", &long, "mug"));
        assert_ne!(one, request_id_of("sorry", &long, "cup"));
    }
}

//! Coupons.

mod grant;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidegate_proto::{
    gateway::v1::CheckCouponRequest,
    issuance::v1::{FindCouponsRequest, FindCouponsResponse, FoundCoupon, RevokeCouponRequest},
    r#type::v1::CouponState,
};

use crate::{
    arguments::Global,
    confirm::confirm,
    contract::{json as as_json, json_each},
    failure::Failure,
    output::{Column, Output},
    pages,
    session::Session,
    spec::read_text,
};

const COUPONS: &[Column] = &[
    ("SHOPPER", "/shopper_id"),
    ("CAMPAIGN", "/coupon/campaign_id"),
    ("TIER", "/coupon/tier_id"),
    ("CODE", "/coupon/code"),
    ("STATE", "/coupon/state"),
    ("ISSUED", "/coupon/issued_at"),
    ("VALID UNTIL", "/coupon/valid_until"),
    ("ORDER", "/coupon/order_id"),
    ("REVOKED BECAUSE", "/revoked_because"),
];
/// As many characters of a code as an order shows.
const CHARACTERS_SHOWN: usize = 4;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find coupons of a shopper, or the one with a code or the end of a code
    Find {
        #[command(flatten)]
        which: Which,
        /// Show whole codes, which are worth money, and not only their ends
        #[arg(long)]
        show_codes: bool,
    },
    /// Tell whether a coupon could pay for an order now
    Check(Which),
    /// Withdraw a coupon for ever
    Revoke {
        #[command(flatten)]
        which: Which,
        /// Why; kept with the coupon
        #[arg(long)]
        reason: String,
    },
    /// Give coupons to shoppers, by name or from a file of lines `SHOPPER[,TIER]`
    Grant(grant::Give),
}

/// Which coupon. Its code is a secret and is not typed as an argument.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Whose
    #[arg(long)]
    shopper: Option<String>,
    /// The last characters of its code, 2 at least; needs --shopper
    #[arg(long, requires = "shopper")]
    ending: Option<String>,
    /// A file that holds the code; `-` is standard input
    #[arg(long, conflicts_with = "ending", value_name = "FILE")]
    code_file: Option<PathBuf>,
}

pub async fn run(command: Command, session: &Session, global: &Global) -> Result<Output, Failure> {
    match command {
        Command::Find { which, show_codes } => {
            let mut found = find(&which, session).await?;
            if !show_codes {
                found.iter_mut().for_each(mask);
            }
            let found = json_each("tidegate.issuance.v1.FoundCoupon", &found);
            Ok(Output::list(found, COUPONS))
        }
        Command::Check(which) => check(&which, session).await,
        Command::Revoke { which, reason } => revoke(&which, reason, session, global).await,
        Command::Grant(give) => grant::run(give, session).await,
    }
}

/// Hides all of a code but its end.
fn mask(found: &mut FoundCoupon) {
    if let Some(coupon) = &mut found.coupon {
        let hidden = coupon.code.len().saturating_sub(CHARACTERS_SHOWN);
        let end = coupon.code.get(hidden..).unwrap_or_default();
        coupon.code = "*".repeat(hidden) + end;
    }
}

async fn find(which: &Which, session: &Session) -> Result<Vec<FoundCoupon>, Failure> {
    let code = which.code_file.as_deref().map(read_text).transpose()?;
    let code = code.map(|code| code.trim().to_owned());
    if which.shopper.is_none() && code.is_none() {
        let how = "say whose coupon is meant, --shopper, or give its code, --code-file";
        return Err(Failure::Usage(how.to_owned()));
    }
    let ask = |page_token| FindCouponsRequest {
        shopper_id: which.shopper.clone().unwrap_or_default(),
        coupon_code: code.clone().unwrap_or_default(),
        code_ending: which.ending.clone().unwrap_or_default(),
        page_token,
    };
    let things = |page: FindCouponsResponse| {
        if code.is_some() && !page.next_page_token.is_empty() {
            let tried = page.coupons_tried;
            eprintln!("{tried} more coupons were tried, and none has the code; Ctrl-C ends it.");
        }
        (page.coupons, page.next_page_token)
    };
    pages::all(session, ask, things).await
}

/// The one coupon that is meant; more or none is told.
async fn the_one(which: &Which, session: &Session) -> Result<FoundCoupon, Failure> {
    let mut found = find(which, session).await?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::NotFound("there is no such coupon".to_owned())),
        many => Err(Failure::Usage(format!(
            "{many} coupons fit; say which with --ending: tidegatectl coupon find shows them"
        ))),
    }
}

async fn check(which: &Which, session: &Session) -> Result<Output, Failure> {
    const CHECKED: &[Column] = &[
        ("usable", "/usable"),
        ("because", "/unusable_because"),
        ("campaign", "/coupon/campaign_id"),
        ("tier", "/coupon/tier_id"),
        ("state", "/coupon/state"),
        ("valid until", "/coupon/valid_until"),
        ("order", "/coupon/order_id"),
    ];
    let found = the_one(which, session).await?;
    let message = CheckCouponRequest {
        shopper_id: found.shopper_id,
        coupon_code: found.coupon.unwrap_or_default().code,
    };
    let answer = session.call(message).await?;
    let answer = as_json("tidegate.gateway.v1.CheckCouponResponse", &answer);
    Ok(Output::one(answer, CHECKED))
}

async fn revoke(
    which: &Which,
    reason: String,
    session: &Session,
    global: &Global,
) -> Result<Output, Failure> {
    let found = the_one(which, session).await?;
    let coupon = found.coupon.unwrap_or_default();
    let state = coupon.state().as_str_name();
    let question = format!(
        "Revoking the coupon of {} in {} ({}, {}) cannot be undone.",
        found.shopper_id,
        coupon.campaign_id,
        coupon.tier_id,
        state.trim_start_matches("COUPON_STATE_")
    );
    if coupon.state() != CouponState::Revoked {
        confirm(&question, global.yes)?;
    }
    let message = RevokeCouponRequest {
        shopper_id: found.shopper_id.clone(),
        coupon_code: coupon.code,
        reason,
    };
    let answer = session.call(message).await?;
    let mut shown = FoundCoupon {
        shopper_id: found.shopper_id,
        coupon: answer.coupon,
        ..FoundCoupon::default()
    };
    mask(&mut shown);
    let value = as_json("tidegate.issuance.v1.FoundCoupon", &shown);
    let note = match answer.replayed {
        true => "It had been revoked before.",
        false => "It is revoked.",
    };
    Ok(Output::list(vec![value], COUPONS).with_note(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_code_is_shown() {
        let mut found = FoundCoupon {
            coupon: Some(tidegate_proto::r#type::v1::Coupon {
                code: "000040KHE5K52Z22".to_owned(),
                ..Default::default()
            }),
            ..FoundCoupon::default()
        };
        mask(&mut found);
        assert_eq!(found.coupon.unwrap().code, "************2Z22");
    }
}

use tidegate_proto::issuance::v1::{self as proto, FindCouponsRequest, FindCouponsResponse};
use tidegate_types::{CampaignNumber, Lanes, ShopperId, Slot, Timestamp, Violations};

use crate::{
    coupon_search::{Found, FoundCoupon, LookedTo, Next, SearchedTo, Wanted},
    domain::code_ending::CodeEnding,
    error::IssuanceError,
    store::{found::OlderThan, shoppers::PageEnd},
};

const NOT_A_TOKEN: &str = "must be empty or a next_page_token as it was given";

pub fn wanted(message: FindCouponsRequest, lanes: Lanes) -> Result<Wanted, IssuanceError> {
    let mut bad = Violations::default();
    let shopper = given(message.shopper_id);
    let shopper = shopper.map(|shopper| bad.check("shopper_id", ShopperId::parse(shopper)));
    let ending = given(message.code_ending);
    if ending.is_some() && !message.coupon_code.is_empty() {
        bad.add("code_ending", "must be empty if `coupon_code` is set");
    }
    let ending = ending.map(|ending| bad.check("code_ending", CodeEnding::parse(&ending)));
    let token = message.page_token;
    let wanted = match (shopper, given(message.coupon_code)) {
        (Some(shopper), Some(code)) => {
            if !token.is_empty() {
                bad.add("page_token", "must be empty: there is one coupon at most");
            }
            shopper.map(|shopper| Wanted::Code { shopper, code })
        }
        (None, Some(code)) => {
            let from = (!token.is_empty()).then(|| {
                let from = searched_to(&token, lanes);
                bad.check("page_token", from.ok_or(NOT_A_TOKEN))
            });
            let from = from.flatten();
            Some(Wanted::CodeOfAnybody { code, from })
        }
        (Some(shopper), None) => {
            let from = (!token.is_empty()).then(|| {
                let from = looked_to(&token);
                bad.check("page_token", from.ok_or(NOT_A_TOKEN))
            });
            shopper.map(|shopper| Wanted::OfShopper {
                shopper,
                ending: ending.flatten(),
                from: from.flatten(),
            })
        }
        (None, None) => {
            bad.add("shopper_id", "must be set if `coupon_code` is not");
            None
        }
    };
    let wanted = wanted.filter(|_| bad.is_empty());
    wanted.ok_or(IssuanceError::InvalidFields(bad))
}

/// What was found, as it is at `now`.
pub fn response(found: Found, now: Timestamp) -> FindCouponsResponse {
    let coupons = found.coupons.iter().map(|found| coupon(found, now));
    FindCouponsResponse {
        coupons: coupons.collect(),
        next_page_token: found.next.map(token).unwrap_or_default(),
        coupons_tried: found.tried,
    }
}

fn coupon(found: &FoundCoupon, now: Timestamp) -> proto::FoundCoupon {
    proto::FoundCoupon {
        shopper_id: found.shopper.as_str().to_owned(),
        coupon: Some(super::coupon(&found.coupon, now)),
        request_id: found.coupon.stored.request_id.to_string(),
        revoked_because: found.revoked_because.clone().unwrap_or_default(),
    }
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Numbers are hexadecimal. A shopper's id comes last, because it may hold points.
fn token(next: Next) -> String {
    match next {
        Next::Search(SearchedTo { lane, coupon }) => format!(
            "{:x}.{:x}.{:x}.{}",
            lane.get(),
            coupon.campaign_number,
            coupon.slot,
            coupon.shopper_id
        ),
        Next::Older(LookedTo {
            coupon,
            missing_key,
        }) => format!(
            "{:x}.{:x}.{:x}{}",
            coupon.issued_at.unix_timestamp_nanos() / 1_000,
            coupon.campaign.get(),
            coupon.slot.get(),
            missing_key.map_or_else(String::new, |key_id| format!(".{key_id:x}")),
        ),
    }
}

fn searched_to(token: &str, lanes: Lanes) -> Option<SearchedTo> {
    let mut parts = token.splitn(4, '.');
    let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
    let lane = lanes.lane(number()?).ok()?;
    let (campaign, slot) = (number()?, number()?);
    let shopper_id = parts.next()?;
    if shopper_id.is_empty() && (campaign, slot) == (0, 0) {
        let coupon = PageEnd::START;
        return Some(SearchedTo { lane, coupon });
    }
    let campaign = CampaignNumber::new(campaign).ok()?;
    let slot = Slot::new(slot).ok()?;
    let shopper = ShopperId::parse(shopper_id).ok()?;
    let coupon = PageEnd {
        shopper_id: shopper.as_str().to_owned(),
        campaign_number: i32::try_from(campaign.get()).ok()?,
        slot: i16::from(slot.get()),
    };
    Some(SearchedTo { lane, coupon })
}

fn looked_to(token: &str) -> Option<LookedTo> {
    let mut parts = token.split('.');
    let micros = u64::from_str_radix(parts.next()?, 16).ok()?;
    let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
    let campaign = CampaignNumber::new(number()?).ok()?;
    let slot = Slot::new(number()?).ok()?;
    let issued_at = Timestamp::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok()?;
    let missing_key = match parts.next() {
        Some(key_id) => Some(u8::from_str_radix(key_id, 16).ok()?),
        None => None,
    };
    let coupon = OlderThan {
        issued_at,
        campaign,
        slot,
    };
    parts.next().is_none().then_some(LookedTo {
        coupon,
        missing_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes {
        Lanes::new(4u16).unwrap()
    }

    fn fields(message: FindCouponsRequest) -> Vec<String> {
        match wanted(message, lanes()) {
            Err(IssuanceError::InvalidFields(bad)) => {
                bad.into_vec().into_iter().map(|bad| bad.field).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn asked(shopper: &str, code: &str, ending: &str, token: &str) -> FindCouponsRequest {
        FindCouponsRequest {
            shopper_id: shopper.to_owned(),
            coupon_code: code.to_owned(),
            code_ending: ending.to_owned(),
            page_token: token.to_owned(),
        }
    }

    #[test]
    fn where_a_search_goes_on_is_read_back() {
        let lane = lanes().lane(3u16).unwrap();
        let end = PageEnd {
            shopper_id: "a.b.c".to_owned(),
            campaign_number: 0xFF_FFFF,
            slot: 100,
        };
        for coupon in [end, PageEnd::START] {
            let searched = SearchedTo { lane, coupon };
            let token = token(Next::Search(searched.clone()));
            assert_eq!(searched_to(&token, lanes()), Some(searched), "{token}");
        }
        let older = OlderThan {
            issued_at: Timestamp::now_utc().truncate_to_microsecond(),
            campaign: CampaignNumber::new(7u32).unwrap(),
            slot: Slot::new(100u8).unwrap(),
        };
        for missing_key in [None, Some(0), Some(7)] {
            let looked = LookedTo {
                coupon: older,
                missing_key,
            };
            assert_eq!(looked_to(&token(Next::Older(looked))), Some(looked));
        }
    }

    #[test]
    fn every_bad_field_of_a_search_is_named() {
        assert_eq!(fields(asked("", "", "", "")), ["shopper_id"]);
        assert_eq!(fields(asked("", "", "AB", "")), ["shopper_id"]);
        assert_eq!(
            fields(asked("a b", "", "U", "x")),
            ["shopper_id", "code_ending", "page_token"]
        );
        assert_eq!(
            fields(asked("ann", "code", "AB", "0.1.1")),
            ["code_ending", "page_token"]
        );
        for token in ["x", "4.1.1.ann", "0.0.0.ann", "0.1.65.ann", "0.1.1.", "0.1"] {
            assert_eq!(
                fields(asked("", "code", "", token)),
                ["page_token"],
                "{token}"
            );
        }
        for token in [
            "x",
            "0.0.1",
            "0.1.0",
            "0.1.1.100",
            "0.1.1.1.1",
            "7fffffffffffffff.1.1",
            "-1.1.1",
        ] {
            assert_eq!(
                fields(asked("ann", "", "", token)),
                ["page_token"],
                "{token}"
            );
        }
    }
}

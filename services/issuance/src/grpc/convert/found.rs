use tidegate_proto::issuance::v1::{self as proto, FindCouponsRequest, FindCouponsResponse};
use tidegate_types::{CampaignNumber, Lanes, ShopperId, Slot, Timestamp};

use super::parsed;
use crate::{
    coupon_search::{Found, FoundCoupon, LookedTo, Next, SearchedTo, Wanted},
    domain::code_ending::CodeEnding,
    error::Result,
    store::{found::OlderThan, shoppers::PageEnd},
};

const NOT_A_TOKEN: &str = "must be empty or a next_page_token as it was given";

pub fn wanted(message: FindCouponsRequest, lanes: Lanes) -> Result<Wanted> {
    parsed(|bad| {
        let (shopper, code) = (given(message.shopper_id), given(message.coupon_code));
        let is_named = shopper.is_some();
        let shopper = shopper.and_then(|id| bad.check("shopper_id", ShopperId::parse(id)));
        let ending = given(message.code_ending);
        if ending.is_some() && code.is_some() {
            bad.add("code_ending", "must be empty if `coupon_code` is set");
        }
        let ending = ending.and_then(|text| bad.check("code_ending", CodeEnding::parse(&text)));
        let token = given(message.page_token);
        match (is_named, code) {
            (true, Some(code)) => {
                if token.is_some() {
                    bad.add("page_token", "must be empty: there is one coupon at most");
                }
                let shopper = shopper?;
                Some(Wanted::Code { shopper, code })
            }
            (false, Some(code)) => {
                let from = token.map(|token| searched_to(&token, lanes).ok_or(NOT_A_TOKEN));
                let from = from.and_then(|from| bad.check("page_token", from));
                Some(Wanted::CodeOfAnybody { code, from })
            }
            (true, None) => {
                let from = token.map(|token| looked_to(&token).ok_or(NOT_A_TOKEN));
                let from = from.and_then(|from| bad.check("page_token", from));
                let shopper = shopper?;
                Some(Wanted::OfShopper {
                    shopper,
                    ending,
                    from,
                })
            }
            (false, None) => {
                bad.add("shopper_id", "must be set if `coupon_code` is not");
                None
            }
        }
    })
}

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
    let coupon = PageEnd {
        shopper_id: ShopperId::parse(shopper_id).ok()?.as_str().to_owned(),
        campaign_number: i32::try_from(CampaignNumber::new(campaign).ok()?.get()).ok()?,
        slot: Slot::new(slot).ok()?.get().into(),
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
    use crate::error::IssuanceError;

    fn lanes() -> Lanes {
        Lanes::new(4u16).unwrap()
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
        let coupon = OlderThan {
            issued_at: Timestamp::now_utc().truncate_to_microsecond(),
            campaign: CampaignNumber::new(7u32).unwrap(),
            slot: Slot::new(100u8).unwrap(),
        };
        for missing_key in [None, Some(0), Some(7)] {
            let looked = LookedTo {
                coupon,
                missing_key,
            };
            assert_eq!(looked_to(&token(Next::Older(looked))), Some(looked));
        }
    }

    #[test]
    fn every_bad_field_of_a_search_is_named() {
        let too_late = "7fffffffffffffff.1.1";
        let bad_search = ["x", "4.1.1.ann", "0.0.0.ann", "0.1.65.ann", "0.1.1.", "0.1"];
        let bad_page = [
            "x",
            "0.0.1",
            "0.1.0",
            "0.1.1.100",
            "0.1.1.1.1",
            too_late,
            "-1.1.1",
        ];
        let all = ["shopper_id", "code_ending", "page_token"];
        let mut asked: Vec<([&str; 4], &[&str])> = vec![
            (["", "", "", ""], &all[..1]),
            (["", "", "AB", ""], &all[..1]),
            (["a b", "", "U", "x"], &all),
            (["ann", "code", "AB", "0.1.1"], &all[1..]),
        ];
        asked.extend(bad_search.map(|token| (["", "code", "", token], &all[2..])));
        asked.extend(bad_page.map(|token| (["ann", "", "", token], &all[2..])));
        for (given, named) in asked {
            let [shopper_id, coupon_code, code_ending, page_token] = given.map(str::to_owned);
            let message = FindCouponsRequest {
                shopper_id,
                coupon_code,
                code_ending,
                page_token,
            };
            let Err(IssuanceError::InvalidFields(bad)) = wanted(message, lanes()) else {
                panic!("{given:?}");
            };
            let fields = bad.into_vec().into_iter().map(|bad| bad.field);
            assert_eq!(fields.collect::<Vec<_>>(), named, "{given:?}");
        }
    }
}

//! What callers were told, checked against itself.

use std::collections::HashMap;

use super::Finding;
use crate::ledger::{Code, Told};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const MAC_BITS: u32 = 46;
const KEY_BITS: u32 = 3;
const SLOT_BITS: u32 = 7;

/// What a code says in the open: its campaign's number and which of the shopper's coupons it is. None if it is no code.
pub(super) fn read(code: &Code) -> Option<(i64, i16)> {
    let bits = code.iter().try_fold(0_u128, |bits, letter| {
        Some(bits << 5 | ALPHABET.iter().position(|known| known == letter)? as u128)
    })?;
    let slot = bits >> (MAC_BITS + KEY_BITS) & ((1 << SLOT_BITS) - 1);
    Some((
        (bits >> (MAC_BITS + KEY_BITS + SLOT_BITS)) as i64,
        slot as i16,
    ))
}

/// Whether every answer for a request named the same code, and no code was told for two requests of a shopper. Two shoppers may have the same code.
pub(super) fn one_code_a_request(told: &Told) -> Finding {
    let mut by_request: HashMap<(u32, u8), Code> = HashMap::with_capacity(told.coupons.len());
    let mut by_code: HashMap<(u32, Code), u8> = HashMap::with_capacity(told.coupons.len());
    let (mut differ, mut shared) = (0, 0);
    for coupon in &told.coupons {
        let request = (coupon.shopper, coupon.request);
        differ += i64::from(*by_request.entry(request).or_insert(coupon.code) != coupon.code);
        let (code, request) = ((coupon.shopper, coupon.code), coupon.request);
        shared += i64::from(*by_code.entry(code).or_insert(request) != request);
    }
    Finding::of([
        ("answers_with_a_coupon", told.coupons.len() as i64),
        ("wrong_answers_that_differ", differ),
        ("wrong_codes_told_for_two_requests", shared),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::ToldCoupon;

    fn told(answers: &[(u32, u8, &Code)]) -> Told {
        let coupons = answers
            .iter()
            .map(|&(shopper, request, code)| ToldCoupon {
                shopper,
                request,
                code: *code,
            })
            .collect();
        Told {
            coupons,
            ..Told::default()
        }
    }

    #[test]
    fn the_same_code_for_the_same_request_is_right_and_anything_else_is_wrong() {
        let (one, two) = (b"0000000000000001", b"0000000000000002");
        assert!(one_code_a_request(&told(&[(1, 1, one), (1, 1, one), (2, 1, two)])).holds());
        assert!(one_code_a_request(&told(&[(1, 1, one), (2, 1, one)])).holds());
        let differ = one_code_a_request(&told(&[(1, 1, one), (1, 1, two)]));
        assert_eq!(differ.count("wrong_answers_that_differ"), Some(1));
        let shared = one_code_a_request(&told(&[(1, 1, one), (1, 2, one)]));
        assert_eq!(shared.count("wrong_codes_told_for_two_requests"), Some(1));
    }

    #[test]
    fn a_code_says_its_campaign_and_slot_in_the_open() {
        // Campaign 5, slot 3, key 1 and a MAC of ones.
        let bits = ((5_u128 << 7 | 3) << 3 | 1) << 46 | ((1 << 46) - 1);
        let code: Vec<u8> = (0..16)
            .rev()
            .map(|letter| ALPHABET[(bits >> (5 * letter)) as usize & 31])
            .collect();
        assert_eq!(read(&code.try_into().unwrap()), Some((5, 3)));
        assert_eq!(read(b"UUUUUUUUUUUUUUUU"), None);
    }
}

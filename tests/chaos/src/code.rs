//! The published layout of coupon codes, read here anew: a checker that shares code with what it
//! checks believes its errors.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LETTERS: usize = 16;
const KEY_AND_MAC_BITS: u32 = 3 + 46;
const SLOT_BITS: u32 = 7;

/// The campaign's number and which of the shopper's coupons it is; none if it is no code.
pub fn read(code: &str) -> Option<(i32, i16)> {
    if code.len() != LETTERS {
        return None;
    }
    let bits = code.bytes().try_fold(0_u128, |bits, letter| {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        Some(bits << 5 | value as u128)
    })?;
    let slot = (bits >> KEY_AND_MAC_BITS) & ((1 << SLOT_BITS) - 1);
    let campaign_number = bits >> (KEY_AND_MAC_BITS + SLOT_BITS);
    Some((
        i32::try_from(campaign_number).ok()?,
        i16::try_from(slot).ok()?,
    ))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A code as issuance would write it, with a MAC of ones.
    pub fn code_of(campaign_number: i32, slot: i16) -> String {
        let top = (campaign_number as u128) << SLOT_BITS | slot as u128;
        let bits = top << KEY_AND_MAC_BITS | ((1 << KEY_AND_MAC_BITS) - 1);
        let letter = |place| char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]);
        (0..LETTERS).rev().map(letter).collect()
    }

    #[test]
    fn a_code_says_its_campaign_and_slot_in_the_open() {
        assert_eq!(read(&code_of(5, 3)), Some((5, 3)));
        assert_eq!(read("UUUUUUUUUUUUUUUU"), None);
        assert_eq!(read("short"), None);
    }
}

//! Coupon codes: 80 bits as 16 Crockford base-32 characters.
//!
//! From the top: 24 bits campaign number, 7 bits slot, 3 bits key id, 46 bits of HMAC-SHA-256 over campaign number, slot and shopper id. A code is derived from the coupon's
//! row and never stored; a forged or mistyped one fails the MAC, so it is refused without a query.

use std::fmt;

use crate::{CampaignNumber, Keyring, KeyringError, ShopperId, Slot};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 16;
const MAC_BITS: u32 = 46;
const KEY_ID_BITS: u32 = 3;
const SLOT_BITS: u32 = 7;
/// Longer texts are refused before they are read: 16 characters with a separator between any two.
const MAX_TYPED_LENGTH: usize = 2 * LENGTH;

/// A coupon's code. `Display` shows the last four characters only; [`CouponCode::reveal`] gives the whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CouponCode(u128);

/// What a code says once its MAC was found right for the shopper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedCode {
    /// The campaign.
    pub campaign: CampaignNumber,
    /// Which of the shopper's coupons.
    pub slot: Slot,
}

impl CouponCode {
    /// Reads what a person or program typed: any case, with `-` or spaces between, and O, I, L for their look-alikes. `None` if it is no code at all.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > MAX_TYPED_LENGTH {
            return None;
        }
        let mut bits = 0u128;
        let mut count = 0;
        for byte in typed.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
            let canonical = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|letter| *letter == canonical)?;
            bits = bits << 5 | value as u128;
            count += 1;
        }
        (count == LENGTH).then_some(Self(bits))
    }

    /// The whole code. Worth money: for the answer to its shopper and for nothing else.
    pub fn reveal(self) -> String {
        (0..LENGTH)
            .rev()
            .map(|place| char::from(ALPHABET[(self.0 >> (5 * place)) as usize & 31]))
            .collect()
    }

    /// The code with all but its last four characters hidden.
    pub fn masked(self) -> String {
        format!("************{}", &self.reveal()[LENGTH - 4..])
    }

    /// The number of the campaign the code says it is of. Nobody has verified that; good for keeping house and not for paying.
    pub fn claimed_campaign(self) -> u32 {
        (self.0 >> (MAC_BITS + KEY_ID_BITS + SLOT_BITS)) as u32
    }

    fn key_id(self) -> u8 {
        (self.0 >> MAC_BITS) as u8 & ((1 << KEY_ID_BITS) - 1)
    }
}

impl fmt::Display for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The keys codes are made and checked with: one makes new codes, all check. A code carries its key's id, so old codes go on working after the active key changes.
pub struct CouponKeyring(Keyring);

impl CouponKeyring {
    /// Reads `{"active":1,"keys":{"1":"<base64 of 32 bytes>"}}`.
    pub fn from_json(json: &str) -> Result<Self, KeyringError> {
        Keyring::from_json(json).map(Self)
    }

    /// The id of the key that new codes are made with. It is kept with the coupon, so that its code never changes.
    pub fn active_key_id(&self) -> u8 {
        self.0.active_key_id()
    }

    /// The code of a coupon under the key it was issued with; `None` if that key is gone from the keyring.
    pub fn derive(
        &self,
        key_id: u8,
        campaign: CampaignNumber,
        shopper: &ShopperId,
        slot: Slot,
    ) -> Option<CouponCode> {
        let mac = self.mac(key_id, campaign, shopper, slot)?;
        let head = u128::from(campaign.get()) << SLOT_BITS | u128::from(slot.get());
        let head = head << KEY_ID_BITS | u128::from(key_id);
        Some(CouponCode(head << MAC_BITS | u128::from(mac)))
    }

    /// What the code says, if it is this shopper's.
    pub fn verify(&self, code: CouponCode, shopper: &ShopperId) -> Option<DecodedCode> {
        let campaign =
            CampaignNumber::new((code.0 >> (MAC_BITS + KEY_ID_BITS + SLOT_BITS)) as u64).ok()?;
        let slot =
            Slot::new((code.0 >> (MAC_BITS + KEY_ID_BITS)) as u64 & ((1 << SLOT_BITS) - 1)).ok()?;
        let expected = self.derive(code.key_id(), campaign, shopper, slot)?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(
            &expected.0.to_be_bytes(),
            &code.0.to_be_bytes(),
        );
        same.is_ok().then_some(DecodedCode { campaign, slot })
    }

    fn mac(
        &self,
        key_id: u8,
        campaign: CampaignNumber,
        shopper: &ShopperId,
        slot: Slot,
    ) -> Option<u64> {
        let tag = self.0.mac(
            key_id,
            &[
                &campaign.get().to_be_bytes(),
                &[slot.get()],
                shopper.as_str().as_bytes(),
            ],
        )?;
        let head = tag
            .iter()
            .take(8)
            .fold(0u64, |head, byte| head << 8 | u64::from(*byte));
        Some(head >> (u64::BITS - MAC_BITS))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    fn keyring() -> CouponKeyring {
        let key = |byte| BASE64_STANDARD.encode([byte; 32]);
        CouponKeyring::from_json(&format!(
            r#"{{"active":2,"keys":{{"1":"{}","2":"{}"}}}}"#,
            key(1),
            key(2)
        ))
        .unwrap()
    }

    fn shopper(id: &str) -> ShopperId {
        ShopperId::parse(id).unwrap()
    }

    #[test]
    fn a_code_opens_for_its_shopper_only() {
        let (ring, campaign, slot) = (
            keyring(),
            CampaignNumber::new(0xABCDEFu32).unwrap(),
            Slot::new(100u8).unwrap(),
        );
        let code = ring.derive(2, campaign, &shopper("alice"), slot).unwrap();
        assert_eq!(
            ring.verify(code, &shopper("alice")),
            Some(DecodedCode { campaign, slot })
        );
        assert_eq!(ring.verify(code, &shopper("bob")), None);
    }

    #[test]
    fn a_code_survives_the_way_people_type_it() {
        let code = keyring()
            .derive(
                1,
                CampaignNumber::new(1u32).unwrap(),
                &shopper("alice"),
                Slot::new(1u8).unwrap(),
            )
            .unwrap();
        let text = code.reveal();
        assert_eq!(text.len(), 16);
        let typed = format!("{}-{} {}", &text[..4], &text[4..8], &text[8..])
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l");
        assert_eq!(CouponCode::parse(&typed), Some(code));
        for bad in [
            "",
            "0",
            &text[1..],
            &format!("{text}0"),
            "UUUUUUUUUUUUUUUU",
            "奶茶奶茶奶茶",
            &"-".repeat(100),
        ] {
            assert_eq!(CouponCode::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_changed_character_makes_a_code_worthless() {
        let ring = keyring();
        let alice = shopper("alice");
        let code = ring
            .derive(
                2,
                CampaignNumber::new(77u32).unwrap(),
                &alice,
                Slot::new(3u8).unwrap(),
            )
            .unwrap();
        for bit in 0..80 {
            assert_eq!(
                ring.verify(CouponCode(code.0 ^ 1 << bit), &alice),
                None,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_code_is_never_shown_whole() {
        let code = keyring()
            .derive(
                2,
                CampaignNumber::new(5u32).unwrap(),
                &shopper("a"),
                Slot::new(1u8).unwrap(),
            )
            .unwrap();
        assert!(!format!("{code} {code:?}").contains(&code.reveal()));
    }
}

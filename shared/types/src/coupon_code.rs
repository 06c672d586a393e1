//! Coupon codes: 80 bits as 16 Crockford base-32 characters.
//!
//! From the top: 24 bits campaign number, 7 bits slot, 3 bits key id, 46 bits of HMAC-SHA-256 over campaign number, slot and shopper id. A code is derived from the coupon's
//! row and never stored; a forged or mistyped one fails the MAC, so it is refused without a query. Two shoppers may have the same code: a coupon is known by its
//! shopper as well.

mod typed;

use std::fmt;

use crate::{CampaignNumber, Keyring, KeyringError, ShopperId, Slot};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 16;
const MAC_BITS: u32 = 46;
const KEY_ID_BITS: u32 = 3;
const SLOT_BITS: u32 = 7;

/// A coupon's code. `Display` shows the last four characters only; [`CouponCode::reveal`] gives the whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CouponCode(u128);

/// Why a code was not found to be the shopper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// It never was: forged, mistyped, or another shopper's.
    Never,
    /// Nobody can tell: the key it names is not in the keyring. A fact about the keyring and none
    /// about the coupon, though a mistyped code may name such a key as well.
    KeyMissing {
        /// The key's id.
        key_id: u8,
    },
}

/// What a code says once its MAC was found right for the shopper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodedCode {
    /// The campaign.
    pub campaign: CampaignNumber,
    /// Which of the shopper's coupons.
    pub slot: Slot,
}

impl CouponCode {
    /// Reads what a person or program typed, as forgivingly as can be without taking one code for
    /// another. `None` if it is no code at all.
    pub fn parse(typed: &str) -> Option<Self> {
        let mut bits = 0u128;
        let mut count = 0;
        for letter in typed::letters(typed)? {
            let mut known = ALPHABET.iter();
            let value = known.position(|known| char::from(*known) == letter)?;
            bits = bits << 5 | value as u128;
            count += 1;
            if count > LENGTH {
                return None;
            }
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

    /// Which coupon the code says it is. Nobody has verified that; `None` if there is none such.
    pub fn claimed(self) -> Option<DecodedCode> {
        let slot = (self.0 >> (MAC_BITS + KEY_ID_BITS)) as u64 & ((1 << SLOT_BITS) - 1);
        Some(DecodedCode {
            campaign: CampaignNumber::new(self.claimed_campaign()).ok()?,
            slot: Slot::new(slot).ok()?,
        })
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

    /// The ids of all keys.
    pub fn key_ids(&self) -> impl Iterator<Item = u8> {
        self.0.key_ids()
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
    pub fn verify(&self, code: CouponCode, shopper: &ShopperId) -> Result<DecodedCode, Unverified> {
        let claimed = code.claimed().ok_or(Unverified::Never)?;
        let key_id = code.key_id();
        let expected = self
            .derive(key_id, claimed.campaign, shopper, claimed.slot)
            .ok_or(Unverified::KeyMissing { key_id })?;
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(
            &expected.0.to_be_bytes(),
            &code.0.to_be_bytes(),
        );
        same.map(|()| claimed).map_err(|_| Unverified::Never)
    }

    fn mac(
        &self,
        key_id: u8,
        campaign: CampaignNumber,
        shopper: &ShopperId,
        slot: Slot,
    ) -> Option<u64> {
        let campaign = campaign.get().to_be_bytes();
        let parts: [&[u8]; 3] = [&campaign, &[slot.get()], shopper.as_str().as_bytes()];
        let tag = self.0.mac(key_id, &parts)?;
        let head = u64::from_be_bytes(*tag.first_chunk()?);
        Some(head >> (u64::BITS - MAC_BITS))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    fn keyring(active: u8, ids: &[u8]) -> CouponKeyring {
        let key = |id: &u8| format!(r#""{id}":"{}""#, BASE64_STANDARD.encode([*id; 32]));
        let keys: Vec<_> = ids.iter().map(key).collect();
        let json = format!(r#"{{"active":{active},"keys":{{{}}}}}"#, keys.join(","));
        CouponKeyring::from_json(&json).unwrap()
    }

    fn shopper(id: &str) -> ShopperId {
        ShopperId::parse(id).unwrap()
    }

    fn coupon(campaign: u32, slot: u8) -> DecodedCode {
        DecodedCode {
            campaign: CampaignNumber::new(campaign).unwrap(),
            slot: Slot::new(slot).unwrap(),
        }
    }

    /// The code of a shopper's coupon under key 2.
    fn code(coupon: DecodedCode, shopper: &ShopperId) -> CouponCode {
        let code = keyring(2, &[1, 2]).derive(2, coupon.campaign, shopper, coupon.slot);
        code.unwrap()
    }

    #[test]
    fn a_code_opens_for_its_shopper_only() {
        let (coupon, alice) = (coupon(0xABCDEF, 100), shopper("alice"));
        let (ring, code) = (keyring(2, &[1, 2]), code(coupon, &alice));
        assert_eq!(ring.verify(code, &alice), Ok(coupon));
        assert_eq!(ring.verify(code, &shopper("bob")), Err(Unverified::Never));
    }

    #[test]
    fn any_changed_character_makes_a_code_worthless() {
        let (ring, alice) = (keyring(2, &[1, 2]), shopper("alice"));
        let code = code(coupon(77, 3), &alice);
        let key_bits = MAC_BITS..MAC_BITS + KEY_ID_BITS;
        for bit in 0..80 {
            let verified = ring.verify(CouponCode(code.0 ^ 1 << bit), &alice);
            let names_a_missing_key = matches!(verified, Err(Unverified::KeyMissing { .. }));
            // Of keys 0 to 7 there are 1 and 2 here: a change of one bit of 2 names another one.
            assert_eq!(names_a_missing_key, key_bits.contains(&bit), "bit {bit}");
            assert!(verified.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_code_whose_key_is_missing_is_not_called_false() {
        let (without, alice) = (keyring(1, &[1]), shopper("alice"));
        let missing = Err(Unverified::KeyMissing { key_id: 2 });
        assert_eq!(without.verify(code(coupon(1, 1), &alice), &alice), missing);
        // No campaign has the number 0, whatever the key.
        let of_none = CouponCode(2 << MAC_BITS);
        assert_eq!(without.verify(of_none, &alice), Err(Unverified::Never));
    }

    /// Their codes are the same under key 1: found by trying some ten million ids of one lane of sixteen.
    const COLLIDING: [&str; 2] = ["shopper-86530534", "shopper-161455760"];

    #[test]
    fn two_shoppers_may_have_the_same_code_and_each_opens_its_own_coupon() {
        let (ring, [one, two]) = (keyring(2, &[1, 2]), COLLIDING.map(shopper));
        let coupon = coupon(1, 1);
        let code = ring.derive(1, coupon.campaign, &one, coupon.slot).unwrap();
        assert_eq!(
            ring.derive(1, coupon.campaign, &two, coupon.slot),
            Some(code)
        );
        for shopper in [&one, &two] {
            assert_eq!(ring.verify(code, shopper), Ok(coupon));
        }
    }

    #[test]
    fn a_code_is_never_shown_whole() {
        let code = code(coupon(5, 1), &shopper("a"));
        assert!(!format!("{code} {code:?}").contains(&code.reveal()));
    }
}

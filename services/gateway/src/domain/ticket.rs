//! Tickets: a position in a queue, signed, so that nobody keeps it but its holder.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tidegate_types::{CampaignNumber, Cohort, Keyring, RequestId, ShopperId, TierNumber, Turn};

/// The most characters a ticket has.
pub const MAX_LENGTH: usize = 512;
const MAC_BYTES: usize = 16;
const BODY_BYTES: usize = 22;
/// In place of a tier's number, for a claim that takes any.
const ANY_TIER: u8 = u8::MAX;
/// In place of a position, for a ticket that was told none yet.
const NO_POSITION: u64 = u64::MAX;

/// Names a claim: a ticket is good for one.
#[derive(Debug, Clone, Copy)]
pub struct ClaimKey<'a> {
    pub campaign: CampaignNumber,
    pub shopper: &'a ShopperId,
    pub request_id: &'a RequestId,
}

/// A position in the queue of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Where in the order of service.
    pub turn: Turn,
    /// The lowest position told so far.
    pub told_position: Option<u64>,
    /// The tier that is claimed; any, if none.
    pub tier: Option<TierNumber>,
    /// The key it was first signed with. It keeps that one, since the draw comes from it.
    key_id: u8,
}

/// The keys that all gateways share.
pub struct TicketOffice(Keyring);

impl TicketOffice {
    /// Signs and reads tickets with these keys.
    pub fn new(keys: Keyring) -> Self {
        Self(keys)
    }

    /// A new position. The draw follows from campaign, cohort and shopper alone: claiming again, or
    /// under another request id, draws the same.
    pub fn new_ticket(
        &self,
        key: ClaimKey<'_>,
        cohort: Cohort,
        tier: Option<TierNumber>,
    ) -> Ticket {
        let key_id = self.0.active_key_id();
        Ticket {
            turn: Turn {
                cohort,
                draw: self.draw(key_id, key, cohort).unwrap_or(u32::MAX),
            },
            told_position: None,
            tier,
            key_id,
        }
    }

    /// The ticket as it is to be shown.
    pub fn write(&self, ticket: &Ticket, key: ClaimKey<'_>) -> String {
        let mut bytes = body(ticket, key.campaign).to_vec();
        let mac = self.0.mac(ticket.key_id, &signed(&bytes, key));
        bytes.extend(mac.iter().flatten().take(MAC_BYTES));
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a claim shows; `None` if it is no ticket, was changed, or is for another claim.
    pub fn read(&self, shown: &str, key: ClaimKey<'_>) -> Option<Ticket> {
        if shown.len() > MAX_LENGTH {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(shown).ok()?;
        let (body, mac) = bytes.split_at_checked(BODY_BYTES)?;
        let (key_id, body_rest) = body.split_first()?;
        let is_genuine =
            mac.len() == MAC_BYTES && self.0.is_head_of_mac(*key_id, &signed(body, key), mac);
        if !is_genuine {
            return None;
        }
        let (campaign, rest) = body_rest.split_first_chunk()?;
        let (cohort, rest) = rest.split_first_chunk()?;
        let (position, tier) = rest.split_first_chunk()?;
        let cohort = Cohort::new(u64::from_be_bytes(*cohort)).ok()?;
        let position = u64::from_be_bytes(*position);
        let tier = match *tier.first()? {
            ANY_TIER => None,
            number => Some(TierNumber::new(number).ok()?),
        };
        let draw = self.draw(*key_id, key, cohort)?;
        (u32::from_be_bytes(*campaign) == key.campaign.get()).then_some(Ticket {
            turn: Turn { cohort, draw },
            told_position: (position != NO_POSITION).then_some(position),
            tier,
            key_id: *key_id,
        })
    }

    fn draw(&self, key_id: u8, key: ClaimKey<'_>, cohort: Cohort) -> Option<u32> {
        let mac = self.0.mac(
            key_id,
            &[
                b"draw",
                &key.campaign.get().to_be_bytes(),
                &cohort.get().to_be_bytes(),
                key.shopper.as_str().as_bytes(),
            ],
        )?;
        mac.first_chunk().map(|first| u32::from_be_bytes(*first))
    }
}

fn body(ticket: &Ticket, campaign: CampaignNumber) -> [u8; BODY_BYTES] {
    let mut body = [0; BODY_BYTES];
    let fields = std::iter::once(ticket.key_id)
        .chain(campaign.get().to_be_bytes())
        .chain(ticket.turn.cohort.get().to_be_bytes())
        .chain(ticket.told_position.unwrap_or(NO_POSITION).to_be_bytes())
        .chain([ticket.tier.map_or(ANY_TIER, TierNumber::get)]);
    for (byte, field) in body.iter_mut().zip(fields) {
        *byte = field;
    }
    body
}

/// What the MAC covers. The ids are visible ASCII, so the space between them cannot be part of
/// either.
fn signed<'a>(body: &'a [u8], key: ClaimKey<'a>) -> [&'a [u8]; 5] {
    [
        b"ticket",
        body,
        key.shopper.as_str().as_bytes(),
        b" ",
        key.request_id.as_str().as_bytes(),
    ]
}

/// Two keys, the first of which is active.
#[cfg(test)]
pub(crate) fn sample_keys() -> Keyring {
    let keys = r#"{"active":1,"keys":{"1":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","2":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="}}"#;
    Keyring::from_json(keys).unwrap()
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn office(active: u8) -> TicketOffice {
        let key = |byte| BASE64_STANDARD.encode([byte; 32]);
        let json = format!(
            r#"{{"active":{active},"keys":{{"1":"{}","2":"{}"}}}}"#,
            key(1),
            key(2)
        );
        TicketOffice::new(Keyring::from_json(&json).unwrap())
    }

    fn cohort(number: u64) -> Cohort {
        Cohort::new(number).unwrap()
    }

    /// A claim of alice's, as it is and with one thing changed.
    fn with_claims(test: impl Fn(ClaimKey<'_>, [ClaimKey<'_>; 3])) {
        let [alice, bob] = ["alice", "bob"].map(|id| ShopperId::parse(id).unwrap());
        let [one, two] = ["r-1", "r-2"].map(|id| RequestId::parse(id).unwrap());
        let [tea, cake] = [7u32, 8].map(|number| CampaignNumber::new(number).unwrap());
        let key = ClaimKey {
            campaign: tea,
            shopper: &alice,
            request_id: &one,
        };
        let others = [
            ClaimKey {
                shopper: &bob,
                ..key
            },
            ClaimKey {
                request_id: &two,
                ..key
            },
            ClaimKey {
                campaign: cake,
                ..key
            },
        ];
        test(key, others);
    }

    #[test]
    fn a_ticket_of_another_shopper_or_request_or_campaign_is_refused() {
        with_claims(|key, others| {
            let office = office(1);
            let tier = TierNumber::new(3u8).ok();
            let ticket = Ticket {
                told_position: Some(12),
                ..office.new_ticket(key, cohort(1_770_379_200), tier)
            };
            let shown = office.write(&ticket, key);
            assert_eq!(office.read(&shown, key), Some(ticket));
            for other in others {
                assert_eq!(office.read(&shown, other), None);
            }
        });
    }

    #[test]
    fn a_changed_ticket_is_refused() {
        with_claims(|key, _| {
            let office = office(1);
            let ticket = office.new_ticket(key, cohort(9), None);
            let shown = office.write(&ticket, key);
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&shown).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
                assert_eq!(office.read(&changed, key), None, "bit {bit}");
            }
            for length in 0..shown.len() {
                assert_eq!(office.read(&shown[..length], key), None);
            }
            assert_eq!(office.read(&"A".repeat(100_000), key), None);
        });
    }

    #[test]
    fn claiming_again_before_the_opening_draws_the_same_turn() {
        with_claims(|key, [stranger, again, _]| {
            let office = office(1);
            let draw = |key| {
                let ticket = office.new_ticket(key, Cohort::BEFORE_OPENING, None);
                ticket.turn.draw
            };
            assert_eq!(draw(key), draw(again), "another request id gains nothing");
            assert_ne!(draw(key), draw(stranger));
        });
    }

    #[test]
    fn a_ticket_keeps_its_turn_when_the_active_key_changes() {
        with_claims(|key, _| {
            let (before, after) = (office(1), office(2));
            let ticket = before.new_ticket(key, cohort(9), None);
            let read = after.read(&before.write(&ticket, key), key).unwrap();
            assert_eq!(read, ticket);
            assert_eq!(after.read(&after.write(&read, key), key), Some(ticket));
        });
    }
}

//! What becomes of a claim, decided from what is known at one moment. Nothing is asked or done here.

use tidegate_types::{TierId, Timestamp};

use super::campaign::{Over, Phase};

/// The place that a claim has in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It has none, or has lost it.
    None,
    /// Others are first.
    Waiting,
    Due,
}

/// What is known when a claim is decided about.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub phase: &'a Phase,
    /// Whether claims of before the opening get a place.
    pub takes_early_claims: bool,
    /// Whether claims may wait here at all.
    pub is_room_open: bool,
    pub place: Place,
    /// Whether a claim without a place takes nobody's if it is served.
    pub may_be_served: bool,
    /// Whether the claim went to issuance from here, and may have a coupon.
    pub was_handed_over: bool,
    /// Whether it may still commit although its campaign is over.
    pub may_commit_yet: bool,
    /// Whether its shopper certainly has no coupon of the campaign.
    pub holds_nothing: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A place for those who came before the opening.
    WaitForOpening,
    /// The claim is too early.
    NotOpenYet,
    /// It goes to issuance if there is a permit, and waits otherwise.
    Serve,
    /// The same with a turn that has come, which is kept if there is no permit.
    ServeTurn,
    /// A place behind the others.
    Queue,
    /// The coupon that the claim produced, or a place.
    ReplayElseQueue,
    /// The coupon that the claim produced, or a refusal.
    ReplayElse(End),
    /// The same; issuance is asked once only, since others are served meanwhile.
    ReplayOnceElse(End),
    /// Issuance answers whoever has a coupon, and tells the others that there are none.
    AskIssuance,
}

/// Why a claim is refused that has produced no coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The last coupon is gone.
    SoldOut,
    /// The last of its tier is, and there may be others.
    TierGone(TierId),
    Halted(Option<Timestamp>),
    /// Staff hold claims back, and nobody may wait here.
    Held,
    Closed,
    /// It cannot be told yet.
    NotKnownYet,
}

pub fn decide(situation: &Situation<'_>) -> Decision {
    let Situation {
        is_room_open,
        place,
        was_handed_over,
        ..
    } = *situation;
    match situation.phase {
        Phase::Early if is_room_open && situation.takes_early_claims => Decision::WaitForOpening,
        Phase::Early => Decision::NotOpenYet,
        Phase::Over(over) => when_over(over, situation),
        Phase::Held if !is_room_open => Decision::ReplayElse(End::Held),
        // Issuance has nothing else to do now.
        Phase::Held if place != Place::Waiting || was_handed_over => Decision::ReplayElseQueue,
        Phase::Held => Decision::Queue,
        Phase::Open if !is_room_open => Decision::Serve,
        Phase::Open if place == Place::Due => Decision::ServeTurn,
        Phase::Open if place == Place::None && situation.may_be_served => Decision::Serve,
        Phase::Open if was_handed_over => Decision::ReplayElseQueue,
        Phase::Open => Decision::Queue,
    }
}

fn when_over(over: &Over, situation: &Situation<'_>) -> Decision {
    match over {
        // Budget may have been added meanwhile, and is not for those whose turn has not come.
        Over::SoldOut if situation.place == Place::Waiting || situation.holds_nothing => {
            Decision::ReplayElse(End::SoldOut)
        }
        Over::SoldOut => Decision::AskIssuance,
        Over::TierGone(tier) => Decision::ReplayOnceElse(End::TierGone(tier.clone())),
        Over::Halted { resume_at } => Decision::ReplayElse(End::Halted(*resume_at)),
        Over::Closed if situation.may_commit_yet => Decision::ReplayElse(End::NotKnownYet),
        Over::Closed => Decision::ReplayElse(End::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Situation<'static> = Situation {
        phase: &Phase::Open,
        takes_early_claims: false,
        is_room_open: true,
        place: Place::None,
        may_be_served: true,
        was_handed_over: false,
        may_commit_yet: false,
        holds_nothing: false,
    };

    #[test]
    fn a_claim_of_an_open_campaign_is_served_unless_others_are_first() {
        use Decision::{Queue, ReplayElseQueue, Serve, ServeTurn};
        use Place::{Due, None, Waiting};
        for (place, may_be_served, was_handed_over, decision) in [
            (None, true, false, Serve),
            (None, true, true, Serve),
            (None, false, false, Queue),
            (None, false, true, ReplayElseQueue),
            (Waiting, false, false, Queue),
            (Waiting, true, false, Queue),
            (Waiting, false, true, ReplayElseQueue),
            (Due, false, false, ServeTurn),
            (Due, true, true, ServeTurn),
        ] {
            let situation = Situation {
                place,
                may_be_served,
                was_handed_over,
                ..OPEN
            };
            assert_eq!(decide(&situation), decision, "{situation:?}");
        }
        let without_room = Situation {
            is_room_open: false,
            ..OPEN
        };
        assert_eq!(decide(&without_room), Serve);
    }

    #[test]
    fn before_the_opening_there_is_a_place_for_those_who_may_have_one() {
        for (takes_early_claims, is_room_open, decision) in [
            (true, true, Decision::WaitForOpening),
            (true, false, Decision::NotOpenYet),
            (false, true, Decision::NotOpenYet),
        ] {
            let situation = Situation {
                phase: &Phase::Early,
                takes_early_claims,
                is_room_open,
                ..OPEN
            };
            assert_eq!(decide(&situation), decision);
        }
    }

    #[test]
    fn while_staff_hold_claims_nobody_is_served_and_who_has_a_coupon_gets_it() {
        use Decision::{Queue, ReplayElse, ReplayElseQueue};
        for (place, was_handed_over, is_room_open, decision) in [
            (Place::None, false, true, ReplayElseQueue),
            (Place::Due, false, true, ReplayElseQueue),
            (Place::Waiting, false, true, Queue),
            (Place::Waiting, true, true, ReplayElseQueue),
            (Place::None, false, false, ReplayElse(End::Held)),
        ] {
            let situation = Situation {
                phase: &Phase::Held,
                place,
                was_handed_over,
                is_room_open,
                ..OPEN
            };
            assert_eq!(decide(&situation), decision);
        }
    }

    #[test]
    fn what_is_over_ends_claims_that_have_produced_no_coupon() {
        let decided = |over: Over, change: fn(&mut Situation<'_>)| {
            let phase = Phase::Over(over);
            let mut situation = Situation {
                phase: &phase,
                ..OPEN
            };
            change(&mut situation);
            decide(&situation)
        };
        let replay = Decision::ReplayElse;
        assert_eq!(decided(Over::SoldOut, |_| {}), Decision::AskIssuance);
        for change in [
            |situation: &mut Situation<'_>| situation.place = Place::Waiting,
            |situation: &mut Situation<'_>| situation.holds_nothing = true,
        ] {
            assert_eq!(decided(Over::SoldOut, change), replay(End::SoldOut));
        }
        let tier = TierId::parse("large").unwrap();
        let gone = Decision::ReplayOnceElse(End::TierGone(tier.clone()));
        assert_eq!(decided(Over::TierGone(tier), |_| {}), gone);
        let halted = Over::Halted { resume_at: None };
        assert_eq!(decided(halted, |_| {}), replay(End::Halted(None)));
        assert_eq!(decided(Over::Closed, |_| {}), replay(End::Closed));
        let may_commit = |situation: &mut Situation<'_>| situation.may_commit_yet = true;
        let not_yet = replay(End::NotKnownYet);
        assert_eq!(decided(Over::Closed, may_commit), not_yet);
    }
}

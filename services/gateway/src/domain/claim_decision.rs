//! What becomes of a claim, decided from what is known at one moment. Nothing is asked or done
//! here.

use tidegate_types::{TierId, Timestamp};

use super::campaign::{Over, Phase};

/// What the ticket of a claim is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketState {
    /// It has none, or has lost its turn.
    NoTicket,
    /// Others are first.
    Waiting,
    /// Its turn has come.
    Due,
}

/// What is known when a claim is decided about.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub phase: &'a Phase,
    /// Whether claims of before the opening get a ticket.
    pub takes_early_claims: bool,
    /// Whether claims may wait here at all.
    pub is_waiting_room_open: bool,
    pub ticket: TicketState,
    /// Whether a claim without a ticket takes nobody's turn if it is served.
    pub may_be_served: bool,
    /// Whether the claim went to issuance from here, and may have a coupon.
    pub was_handed_over: bool,
    /// Whether it may still commit although its campaign is over.
    pub may_commit_yet: bool,
    /// Whether its shopper certainly has no coupon of the campaign.
    pub has_no_coupon: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A ticket for those who came before the opening.
    WaitForOpening,
    /// The claim is too early.
    NotOpenYet,
    /// It goes to issuance if there is a permit, and waits otherwise.
    Serve,
    /// The same with a turn that has come, which is kept if there is no permit.
    ServeTurn,
    /// A position behind the others.
    Queue,
    /// The coupon that the claim produced, or a position.
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
        is_waiting_room_open,
        ticket,
        was_handed_over,
        ..
    } = *situation;
    match situation.phase {
        Phase::Early if is_waiting_room_open && situation.takes_early_claims => {
            Decision::WaitForOpening
        }
        Phase::Early => Decision::NotOpenYet,
        Phase::Over(over) => when_over(over, situation),
        Phase::Held if !is_waiting_room_open => Decision::ReplayElse(End::Held),
        // Issuance has nothing else to do now.
        Phase::Held if ticket != TicketState::Waiting || was_handed_over => {
            Decision::ReplayElseQueue
        }
        Phase::Held => Decision::Queue,
        Phase::Open if !is_waiting_room_open => Decision::Serve,
        Phase::Open if ticket == TicketState::Due => Decision::ServeTurn,
        Phase::Open if ticket == TicketState::NoTicket && situation.may_be_served => {
            Decision::Serve
        }
        Phase::Open if was_handed_over => Decision::ReplayElseQueue,
        Phase::Open => Decision::Queue,
    }
}

fn when_over(over: &Over, situation: &Situation<'_>) -> Decision {
    match over {
        // Budget may have been added meanwhile, and is not for those whose turn has not come.
        Over::SoldOut if situation.ticket == TicketState::Waiting || situation.has_no_coupon => {
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
        is_waiting_room_open: true,
        ticket: TicketState::NoTicket,
        may_be_served: true,
        was_handed_over: false,
        may_commit_yet: false,
        has_no_coupon: false,
    };

    #[test]
    fn a_claim_of_an_open_campaign_is_served_unless_others_are_first() {
        use Decision::{Queue, ReplayElseQueue, Serve, ServeTurn};
        use TicketState::{Due, NoTicket, Waiting};
        for (ticket, may_be_served, was_handed_over, decision) in [
            (NoTicket, true, false, Serve),
            (NoTicket, true, true, Serve),
            (NoTicket, false, false, Queue),
            (NoTicket, false, true, ReplayElseQueue),
            (Waiting, false, false, Queue),
            (Waiting, true, false, Queue),
            (Waiting, false, true, ReplayElseQueue),
            (Due, false, false, ServeTurn),
            (Due, true, true, ServeTurn),
        ] {
            let situation = Situation {
                ticket,
                may_be_served,
                was_handed_over,
                ..OPEN
            };
            assert_eq!(decide(&situation), decision, "{situation:?}");
        }
        let without_waiting_room = Situation {
            is_waiting_room_open: false,
            ..OPEN
        };
        assert_eq!(decide(&without_waiting_room), Serve);
    }

    #[test]
    fn before_the_opening_there_is_a_ticket_for_those_who_may_have_one() {
        for (takes_early_claims, is_waiting_room_open, decision) in [
            (true, true, Decision::WaitForOpening),
            (true, false, Decision::NotOpenYet),
            (false, true, Decision::NotOpenYet),
        ] {
            let situation = Situation {
                phase: &Phase::Early,
                takes_early_claims,
                is_waiting_room_open,
                ..OPEN
            };
            assert_eq!(decide(&situation), decision);
        }
    }

    #[test]
    fn while_staff_hold_claims_nobody_is_served_and_who_has_a_coupon_gets_it() {
        use Decision::{Queue, ReplayElse, ReplayElseQueue};
        for (ticket, was_handed_over, is_waiting_room_open, decision) in [
            (TicketState::NoTicket, false, true, ReplayElseQueue),
            (TicketState::Due, false, true, ReplayElseQueue),
            (TicketState::Waiting, false, true, Queue),
            (TicketState::Waiting, true, true, ReplayElseQueue),
            (TicketState::NoTicket, false, false, ReplayElse(End::Held)),
        ] {
            let situation = Situation {
                phase: &Phase::Held,
                ticket,
                was_handed_over,
                is_waiting_room_open,
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
            |situation: &mut Situation<'_>| situation.ticket = TicketState::Waiting,
            |situation: &mut Situation<'_>| situation.has_no_coupon = true,
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

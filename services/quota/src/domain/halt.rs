use tidegate_types::{CampaignId, CampaignNumber, ChangeReason, Timestamp};

use super::{Control, Fence, IssuanceControl, IssuanceState, RedemptionControl, RedemptionState};

/// A halt of every campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    pub reason: ChangeReason,
    /// Whether redeeming is halted as well; otherwise it stays as it is.
    pub with_redemption: bool,
    /// When staff expect to resume; whole microseconds.
    pub resume_at: Option<Timestamp>,
}

/// How the control of a campaign stands, without its terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub number: CampaignNumber,
    pub id: CampaignId,
    pub closes_at: Timestamp,
    /// When staff ended it for good.
    pub ended_at: Option<Timestamp>,
    /// What staff have said of it.
    pub control: Control,
    /// Whether nothing of it is on lease.
    pub nothing_leased: bool,
    /// How far issuance's database has what was said of its coupons.
    pub fence: Fence,
}

impl Halt {
    /// The control that this halt makes of another; `None` if that is what it is. Whatever staff
    /// wanted before, they want this now, so there is no epoch to be seen first.
    pub fn of(&self, control: &Control) -> Option<Control> {
        let halted = Control {
            issuance: IssuanceControl::Halted,
            redemption: if self.with_redemption {
                RedemptionControl::Halted
            } else {
                control.redemption
            },
            reason: Some(self.reason.clone()),
            resume_at: self.resume_at,
            epoch: control.epoch,
        };
        (halted != *control).then(|| Control {
            epoch: control.epoch.saturating_add(1),
            ..halted
        })
    }

    /// Whether all of it is in force for a campaign.
    pub fn is_in_force(&self, standing: &Standing) -> bool {
        standing.issuance_state() == IssuanceState::Halted
            && (!self.with_redemption || standing.redemption_state() == RedemptionState::Halted)
    }
}

impl Standing {
    /// How far issuing has come towards what staff want.
    pub fn issuance_state(&self) -> IssuanceState {
        self.control.issuance_state_if(self.nothing_leased)
    }

    /// How far redeeming has come towards what staff want.
    pub fn redemption_state(&self) -> RedemptionState {
        let is_fenced = self.fence.holds_redemption();
        self.control.redemption_state_if(is_fenced)
    }

    /// Whether something that staff want is not in force yet.
    pub fn is_on_its_way(&self) -> bool {
        self.issuance_state() == IssuanceState::Halting || !self.fence.holds_redemption()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(with_redemption: bool) -> Halt {
        Halt {
            reason: ChangeReason::parse("fire").unwrap(),
            with_redemption,
            resume_at: None,
        }
    }

    fn queueing() -> Control {
        Control {
            issuance: IssuanceControl::QueueOnly,
            redemption: RedemptionControl::Open,
            reason: None,
            resume_at: None,
            epoch: 6,
        }
    }

    #[test]
    fn a_halt_is_the_next_control_whatever_there_was_and_the_same_halt_again_is_none() {
        let halted = halt(false).of(&queueing()).unwrap();
        assert_eq!(halted.issuance, IssuanceControl::Halted);
        assert_eq!(
            (halted.redemption, halted.epoch),
            (RedemptionControl::Open, 7)
        );
        assert_eq!(halt(false).of(&halted), None);
        let both = halt(true).of(&halted).unwrap();
        assert_eq!(
            (both.redemption, both.epoch),
            (RedemptionControl::Halted, 8)
        );
        // Redeeming that is halted stays so.
        assert_eq!(halt(false).of(&both), None);
    }

    #[test]
    fn a_halt_is_in_force_once_nothing_is_on_lease_and_issuance_has_what_it_must_know() {
        let mut standing = Standing {
            number: CampaignNumber::new(1u32).unwrap(),
            id: CampaignId::parse("tea").unwrap(),
            closes_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            control: halt(true).of(&queueing()).unwrap(),
            nothing_leased: false,
            fence: Fence {
                redemption_revision: 2,
                ..Fence::default()
            },
        };
        assert!(!halt(false).is_in_force(&standing) && standing.is_on_its_way());
        standing.nothing_leased = true;
        assert!(halt(false).is_in_force(&standing));
        assert!(!halt(true).is_in_force(&standing) && standing.is_on_its_way());
        standing.fence.fenced_revision = 2;
        assert!(halt(true).is_in_force(&standing) && !standing.is_on_its_way());
    }
}

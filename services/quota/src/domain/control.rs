use fail::fail_point;
use tidegate_types::{CampaignId, CampaignNumber, ChangeReason, Timestamp};

use super::{Fence, TierStock};
use crate::error::{QuotaError, Result};

named!(
    #[derive(Default)]
    IssuanceControl {
        #[default]
        Open = "OPEN",
        /// Nothing is granted, and nobody is turned away for good.
        QueueOnly = "QUEUE_ONLY",
        /// Nothing is granted, and every lease is sealed.
        Halted = "HALTED",
    }
);
named!(
    #[derive(Default)]
    RedemptionControl {
        #[default]
        Open = "OPEN",
        Halted = "HALTED",
    }
);

/// How far issuing has come towards what staff want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuanceState {
    Open,
    QueueOnly,
    /// Nothing is granted, but some leases are not known to be sealed: a claim that was under way may yet commit.
    Halting,
    /// Every lease is sealed and settled: no coupon commits until issuing is opened again.
    Halted,
}

/// How far redeeming has come towards what staff want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedemptionState {
    /// Coupons pay for orders, at every replica.
    Open,
    /// The halt is not known to be in issuance's database.
    Halting,
    /// It is: no coupon pays for an order until redeeming is opened again.
    Halted,
    /// The end of the halt is not known to be in issuance's database.
    Resuming,
}

/// What staff have said of a campaign while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Control {
    pub issuance: IssuanceControl,
    pub redemption: RedemptionControl,
    /// Why; `None` as long as nobody has changed it.
    pub reason: Option<ChangeReason>,
    /// When they expect to resume; whole microseconds.
    pub resume_at: Option<Timestamp>,
    pub epoch: u64,
}

impl Control {
    /// The control that staff want, if they had read the one before it; `None` if it is this one. [`QuotaError::ControlEpochConflict`] if somebody else changed it since.
    pub fn change(&self, wanted: Self) -> Result<Option<Self>> {
        let epoch = self.epoch;
        if wanted.epoch == epoch + 1 {
            Ok(Some(wanted))
        } else if wanted == *self {
            Ok(None)
        } else {
            Err(QuotaError::ControlEpochConflict { epoch })
        }
    }

    /// How far issuing has come, given where the stock is. Stock is off lease only once issuance has said that its lease is sealed.
    pub fn issuance_state(&self, stock: &[TierStock]) -> IssuanceState {
        self.issuance_state_if(nothing_leased(stock))
    }

    pub fn issuance_state_if(&self, nothing_leased: bool) -> IssuanceState {
        match self.issuance {
            IssuanceControl::Open => IssuanceState::Open,
            IssuanceControl::QueueOnly => IssuanceState::QueueOnly,
            IssuanceControl::Halted if nothing_leased => IssuanceState::Halted,
            IssuanceControl::Halted => {
                fail_point!("acknowledge-halt-early", |_| IssuanceState::Halted);
                IssuanceState::Halting
            }
        }
    }

    /// How far redeeming has come, given whether issuance's database has what was said of it.
    pub fn redemption_state_if(&self, is_fenced: bool) -> RedemptionState {
        match (self.redemption, is_fenced) {
            (RedemptionControl::Open, true) => RedemptionState::Open,
            (RedemptionControl::Open, false) => RedemptionState::Resuming,
            (RedemptionControl::Halted, true) => RedemptionState::Halted,
            (RedemptionControl::Halted, false) => RedemptionState::Halting,
        }
    }
}

pub fn nothing_leased(stock: &[TierStock]) -> bool {
    stock.iter().all(|tier| tier.leased == 0)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    pub reason: ChangeReason,
    pub with_redemption: bool,
    /// When staff expect to resume; whole microseconds.
    pub resume_at: Option<Timestamp>,
}

impl Halt {
    /// The control that this halt makes of another; `None` if that is what it is. Whatever staff
    /// wanted before, they want this now, so there is no epoch to be seen first.
    pub fn of(&self, control: &Control) -> Option<Control> {
        let redemption = match self.with_redemption {
            true => RedemptionControl::Halted,
            false => control.redemption,
        };
        let halted = Control {
            issuance: IssuanceControl::Halted,
            redemption,
            reason: Some(self.reason.clone()),
            resume_at: self.resume_at,
            epoch: control.epoch,
        };
        (halted != *control).then(|| Control {
            epoch: control.epoch.saturating_add(1),
            ..halted
        })
    }

    pub fn is_in_force(&self, standing: &Standing) -> bool {
        standing.issuance_state() == IssuanceState::Halted
            && (!self.with_redemption || standing.redemption_state() == RedemptionState::Halted)
    }
}

/// How the control of a campaign stands, without its terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub number: CampaignNumber,
    pub id: CampaignId,
    pub closes_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub control: Control,
    pub nothing_leased: bool,
    pub fence: Fence,
}

impl Standing {
    pub fn issuance_state(&self) -> IssuanceState {
        self.control.issuance_state_if(self.nothing_leased)
    }

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

    fn halted() -> Control {
        Control {
            issuance: IssuanceControl::Halted,
            reason: ChangeReason::parse("店里忙不过来").ok(),
            epoch: 4,
            ..Control::default()
        }
    }

    #[test]
    fn a_change_of_a_control_that_is_no_more_conflicts_and_names_the_epoch_there_is() {
        let otherwise = Control {
            redemption: RedemptionControl::Halted,
            ..halted()
        };
        let same = [3, 6, 1, u64::MAX].map(|epoch| Control { epoch, ..halted() });
        for wanted in same.into_iter().chain([otherwise]) {
            let change = halted().change(wanted.clone());
            let conflict = matches!(change, Err(QuotaError::ControlEpochConflict { epoch: 4 }));
            assert!(conflict, "{wanted:?}: {change:?}");
        }
    }

    fn halt(with_redemption: bool) -> Halt {
        Halt {
            reason: ChangeReason::parse("fire").unwrap(),
            with_redemption,
            resume_at: None,
        }
    }

    #[test]
    fn a_halt_of_all_is_in_force_once_nothing_is_on_lease_and_issuance_has_what_it_must_know() {
        let mut standing = Standing {
            number: CampaignNumber::new(1u32).unwrap(),
            id: CampaignId::parse("tea").unwrap(),
            closes_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            control: halt(true).of(&halted()).unwrap(),
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

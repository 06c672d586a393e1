use tidegate_types::{ChangeReason, Timestamp};

use super::TierStock;

/// What staff want of issuing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuanceControl {
    Open,
    /// Nothing is granted, and nobody is turned away for good.
    QueueOnly,
    /// Nothing is granted, and every lease is sealed.
    Halted,
}

/// What staff want of redeeming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedemptionControl {
    Open,
    /// They do not for now.
    Halted,
}

impl IssuanceControl {
    /// The name in the database and in the record of changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::QueueOnly => "QUEUE_ONLY",
            Self::Halted => "HALTED",
        }
    }
}

impl RedemptionControl {
    /// The name in the database and in the record of changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Halted => "HALTED",
        }
    }
}

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

/// What staff want of a campaign from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedControl {
    pub issuance: IssuanceControl,
    pub redemption: RedemptionControl,
    pub reason: ChangeReason,
    /// When they expect to resume; whole microseconds.
    pub resume_at: Option<Timestamp>,
}

/// What staff have said of a campaign while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub issuance: IssuanceControl,
    pub redemption: RedemptionControl,
    /// Why; `None` as long as nobody has changed it.
    pub reason: Option<ChangeReason>,
    /// When they expect to resume.
    pub resume_at: Option<Timestamp>,
    /// How often it was changed.
    pub epoch: u64,
}

/// What a wish of staff means for a campaign's control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlChange {
    Changed(Control),
    /// Nothing: the same wish, made with the same epoch, was granted before.
    Before,
    /// Nothing: somebody else changed it since this epoch was read.
    Conflict {
        epoch: u64,
    },
}

impl Control {
    /// What a wish means whose maker had read the control at `seen_epoch`.
    pub fn change(&self, wanted: WantedControl, seen_epoch: u64) -> ControlChange {
        let changed = Self {
            issuance: wanted.issuance,
            redemption: wanted.redemption,
            reason: Some(wanted.reason),
            resume_at: wanted.resume_at,
            epoch: seen_epoch.saturating_add(1),
        };
        if seen_epoch == self.epoch {
            ControlChange::Changed(changed)
        } else if changed == *self {
            ControlChange::Before
        } else {
            ControlChange::Conflict { epoch: self.epoch }
        }
    }

    /// How far issuing has come, given where the stock is. Stock is off lease only once issuance has said that its lease is sealed.
    pub fn issuance_state(&self, stock: &[TierStock]) -> IssuanceState {
        self.issuance_state_if(nothing_leased(stock))
    }

    /// The same, given whether nothing is on lease.
    pub fn issuance_state_if(&self, nothing_leased: bool) -> IssuanceState {
        match self.issuance {
            IssuanceControl::Open => IssuanceState::Open,
            IssuanceControl::QueueOnly => IssuanceState::QueueOnly,
            IssuanceControl::Halted if nothing_leased => IssuanceState::Halted,
            IssuanceControl::Halted => IssuanceState::Halting,
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

/// True if nothing is on lease in any tier.
pub fn nothing_leased(stock: &[TierStock]) -> bool {
    stock.iter().all(|tier| tier.leased == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Control {
        Control {
            issuance: IssuanceControl::Open,
            redemption: RedemptionControl::Open,
            reason: None,
            resume_at: None,
            epoch: 3,
        }
    }

    fn halt() -> WantedControl {
        WantedControl {
            issuance: IssuanceControl::Halted,
            redemption: RedemptionControl::Open,
            reason: ChangeReason::parse("店里忙不过来").unwrap(),
            resume_at: None,
        }
    }

    fn halted() -> Control {
        match open().change(halt(), 3) {
            ControlChange::Changed(control) => control,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_of_the_control_that_was_read_makes_the_epoch_one_more() {
        let halted = halted();
        assert_eq!(halted.epoch, 4);
        assert_eq!(halted.issuance, IssuanceControl::Halted);
        assert_eq!(halted.reason, Some(halt().reason));
    }

    #[test]
    fn the_same_change_again_changes_nothing() {
        assert_eq!(halted().change(halt(), 3), ControlChange::Before);
    }

    #[test]
    fn a_change_of_a_control_that_is_no_more_conflicts_and_names_the_epoch_there_is() {
        let otherwise = WantedControl {
            redemption: RedemptionControl::Halted,
            ..halt()
        };
        for (wanted, seen_epoch) in [
            (otherwise, 3),
            (halt(), 2),
            (halt(), 5),
            (halt(), 0),
            (halt(), u64::MAX),
        ] {
            let change = halted().change(wanted, seen_epoch);
            assert_eq!(change, ControlChange::Conflict { epoch: 4 }, "{seen_epoch}");
        }
    }

    #[test]
    fn a_halt_is_halting_until_nothing_is_on_lease() {
        let tier = |free, leased, settled| TierStock {
            free,
            leased,
            settled,
        };
        let state = |stock: &[TierStock]| halted().issuance_state(stock);
        assert_eq!(
            state(&[tier(5, 0, 5), tier(0, 1, 0)]),
            IssuanceState::Halting
        );
        assert_eq!(
            state(&[tier(5, 0, 5), tier(0, 0, 1)]),
            IssuanceState::Halted
        );
        assert_eq!(open().issuance_state(&[tier(0, 1, 0)]), IssuanceState::Open);
    }
}

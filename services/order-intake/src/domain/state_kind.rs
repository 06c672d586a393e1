/// A state of an order, without what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    Pending,
    Accepted,
    Rejected,
    InPreparation,
    Ready,
    Completed,
    Cancelled,
    Failed,
}

impl StateKind {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Accepted,
        Self::Rejected,
        Self::InPreparation,
        Self::Ready,
        Self::Completed,
        Self::Cancelled,
        Self::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::InPreparation => "IN_PREPARATION",
            Self::Ready => "READY",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether an order in it will not be made; then it takes up no place in its slot.
    pub fn will_not_be_made(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled | Self::Failed)
    }
}

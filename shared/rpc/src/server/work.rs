/// What a call is about. Each kind has places of its own, so that a crowd of one kind keeps no other out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Placing and cancelling orders, and using coupons for them.
    Orders,
    /// Claiming coupons.
    Claims,
    /// Reading what there is.
    Browsing,
    /// What staff do.
    Staff,
    /// What services ask of each other.
    Inner,
    /// Whatever is answered by a stream. It goes on for long and does little.
    Streams,
    /// Streams of calls. What they carry counts as what it is.
    CallStreams,
    /// Checks of health. Nobody can fill their places: each connection has few of its own.
    Probes,
    /// Watches of health, and reflection, of peers whose certificate names them.
    ProbeStreams,
    /// The same of strangers, so that they take no peer's place.
    StrangerStreams,
}

impl Work {
    pub(super) const ALL: [Self; 10] = [
        Self::Orders,
        Self::Claims,
        Self::Browsing,
        Self::Staff,
        Self::Inner,
        Self::Streams,
        Self::CallStreams,
        Self::Probes,
        Self::ProbeStreams,
        Self::StrangerStreams,
    ];
    pub(super) const KINDS: usize = Self::ALL.len();

    /// Whether it takes one of the places of all kinds together. A process that is full is not ill, and goes on with what it has told others that it follows.
    pub(super) fn counts_among_all(self) -> bool {
        !self.is_stream() && !self.is_open()
    }

    /// Whether it is answered by a stream, of those that need a token or a certificate.
    pub(super) fn is_stream(self) -> bool {
        matches!(self, Self::Streams | Self::CallStreams)
    }

    /// Whether it is open to all.
    pub(super) fn is_open(self) -> bool {
        matches!(
            self,
            Self::Probes | Self::ProbeStreams | Self::StrangerStreams
        )
    }
}

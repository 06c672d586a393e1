use super::{listener::MAX_CONNECTIONS, work::Work};

/// Calls that one token's subject may make each second unless another rate is set: a chatbot backend speaks for millions of shoppers.
const DEFAULT_CALLER_RATE_PER_SECOND: u32 = 50_000;
/// Streams open at once unless another bound is set.
const MAX_STREAMS: usize = 5_000;
/// Streams of calls open at once. A backend needs a few.
const MAX_CALL_STREAMS: usize = 1_000;
/// Watches of health and reflection open at once, of all peers that show a certificate: one for each connection that there may be.
const MAX_PROBE_STREAMS: usize = MAX_CONNECTIONS;
/// The same of all strangers. They are tools and load balancers, which are few.
const MAX_STRANGER_STREAMS: usize = 200;

/// How much of each kind of work is in flight at once, and how often one caller may call.
pub struct Limits {
    most: [usize; Work::KINDS],
    pub(super) caller_rate_per_second: u32,
}

impl Default for Limits {
    /// Of calls, no kind has a limit but that of all kinds together.
    fn default() -> Self {
        let limits = Self {
            most: [usize::MAX; Work::KINDS],
            caller_rate_per_second: DEFAULT_CALLER_RATE_PER_SECOND,
        };
        limits
            .at_most(Work::Streams, MAX_STREAMS)
            .at_most(Work::CallStreams, MAX_CALL_STREAMS)
            .at_most(Work::ProbeStreams, MAX_PROBE_STREAMS)
            .at_most(Work::StrangerStreams, MAX_STRANGER_STREAMS)
    }
}

impl Limits {
    /// Bounds one kind of work.
    pub fn at_most(mut self, work: Work, in_flight: usize) -> Self {
        self.most[work as usize] = in_flight;
        self
    }

    /// Bounds how often each caller may call.
    pub fn caller_rate(self, caller_rate_per_second: u32) -> Self {
        Self {
            caller_rate_per_second,
            ..self
        }
    }

    pub(super) fn most(&self, work: Work) -> usize {
        self.most[work as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_without_a_bound_has_only_that_of_the_whole() {
        let limits = Limits::default().at_most(Work::Claims, 3);
        assert_eq!(limits.most(Work::Claims), 3);
        assert_eq!(limits.most(Work::Orders), usize::MAX);
        assert_eq!(limits.most(Work::ProbeStreams), MAX_PROBE_STREAMS);
        assert_eq!(limits.most(Work::StrangerStreams), MAX_STRANGER_STREAMS);
    }
}

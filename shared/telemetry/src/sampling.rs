use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    filter::{FilterFn, dynamic_filter_fn, filter_fn},
    layer::Filter,
};

use crate::TraceContext;

/// Decides which stories are recorded: the share of them that is, 0 to 1.
///
/// It is decided once for each story, where it begins. A call's is decided at the door of the service that it enters the suite by, here, unless its caller may decide and has. What a service does
/// of its own accord is a [`story`] that OpenTelemetry's sampler decides with the same share. Everything after that goes by the flag in the context: no span is made in a story that is not recorded,
/// neither by `#[instrument]` nor by hand, so that it costs next to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sampling(pub f64);

impl Sampling {
    /// A new story.
    pub fn new_root(self) -> TraceContext {
        TraceContext::new_root(self.decides_to_record())
    }

    /// A story that began outside of the suite, whatever was decided there.
    pub fn decided_here(self, story: TraceContext) -> TraceContext {
        story.with_sampled(self.decides_to_record())
    }

    fn decides_to_record(self) -> bool {
        rand::random::<f64>() < self.0
    }
}

/// Marks the context of work whose first span is the first of its story.
struct Begins;

/// The context of work that a service does of its own accord: its first span begins a story. Work without any context, such as polling, makes no spans.
pub fn story() -> Context {
    Context::new().with_value(Begins)
}

/// Lets the suite's own spans through where the story is recorded.
pub(crate) fn spans_of_recorded<S>() -> impl Filter<S> {
    dynamic_filter_fn(|_, _| Context::map_current(is_recorded))
        .with_callsite_filter(|metadata| match is_own_span(metadata) {
            true => Interest::sometimes(),
            false => Interest::never(),
        })
        .with_max_level_hint(LevelFilter::INFO)
}

/// Log lines go by their own filter and know nothing of spans.
pub(crate) fn events() -> FilterFn {
    let is_event: fn(&Metadata<'_>) -> bool = |metadata| metadata.is_event();
    filter_fn(is_event).with_max_level_hint(LevelFilter::TRACE)
}

fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("tidegate")
}

fn is_recorded(context: &Context) -> bool {
    match context.has_active_span() {
        true => context.span().span_context().is_sampled(),
        false => context.get::<Begins>().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_from_outside_keeps_its_trace_id_and_is_recorded_as_often_as_a_new_one() {
        for (ratio, decided) in [(0.0, false), (1.0, true)] {
            let outside = TraceContext::new_root(!decided);
            let here = Sampling(ratio).decided_here(outside);
            assert_eq!(here.trace_id(), outside.trace_id());
            assert_eq!(here.sampled(), decided);
            assert_eq!(Sampling(ratio).new_root().sampled(), decided);
        }
    }
}

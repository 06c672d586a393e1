use opentelemetry::{
    Context,
    context::{FutureExt as _, WithContext},
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};

const TRACEPARENT_LENGTH: usize = 55;

/// Names one step of one story, across processes: the W3C trace context. It is for messages and rows that carry it; within a process OpenTelemetry's current context does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

impl TraceContext {
    /// A new story.
    pub fn new_root(sampled: bool) -> Self {
        // Zero means "none" in the standard; a random zero is as good as never.
        Self {
            trace_id: TraceId::from(rand::random::<u128>().max(1)),
            span_id: SpanId::from(rand::random::<u64>().max(1)),
            sampled,
        }
    }

    /// The step that is being worked on, which the next one names as its parent. Outside of any story a new one, that is not recorded.
    pub fn current() -> Self {
        Context::map_current(Self::of).unwrap_or_else(|| Self::new_root(false))
    }

    pub(crate) fn of(context: &Context) -> Option<Self> {
        let span = context.has_active_span().then(|| context.span())?;
        let span = span.span_context();
        Some(Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            sampled: span.is_sampled(),
        })
    }

    /// The context of what follows from this step.
    pub fn context(self) -> Context {
        Context::new().with_remote_span_context(self.to_span())
    }

    /// Reads the value of a `traceparent` header, `00-<32 hex>-<16 hex>-<2 hex>`.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let well_formed = traceparent.len() == TRACEPARENT_LENGTH
            && traceparent.is_ascii()
            && traceparent.starts_with("00-")
            && traceparent.as_bytes()[35] == b'-'
            && traceparent.as_bytes()[52] == b'-'
            // The parsers below take a sign as well, which the standard does not.
            && !traceparent.contains('+');
        if !well_formed {
            return None;
        }
        let trace_id = u128::from_str_radix(&traceparent[3..35], 16).ok()?;
        let span_id = u64::from_str_radix(&traceparent[36..52], 16).ok()?;
        let flags = u8::from_str_radix(&traceparent[53..], 16).ok()?;
        if trace_id == 0 || span_id == 0 {
            return None;
        }
        Some(Self {
            trace_id: trace_id.into(),
            span_id: span_id.into(),
            sampled: flags & 1 == 1,
        })
    }

    /// The value of a `traceparent` header.
    pub fn traceparent(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }

    /// The same for an item of a batch, whose trace is of use only if it is recorded; else nothing.
    pub fn traceparent_if_recorded(&self) -> String {
        match self.sampled {
            true => self.traceparent(),
            false => String::new(),
        }
    }

    /// 32 hexadecimal digits: what people search for.
    pub fn trace_id(&self) -> String {
        self.trace_id.to_string()
    }

    /// Whether this story is recorded.
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    pub(crate) fn with_sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    pub(crate) fn to_span(self) -> SpanContext {
        let flags = if self.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::NOT_SAMPLED
        };
        SpanContext::new(self.trace_id, self.span_id, flags, true, TraceState::NONE)
    }
}

/// Work on an item of a batch, in the story whose traceparent the item carries. One that carries none is not recorded, whatever becomes of the batch.
pub fn of_item<W>(traceparent: &str, work: W) -> WithContext<W> {
    let of_batch = TraceContext::current();
    work.with_context(match TraceContext::parse(traceparent) {
        Some(own) => own.context(),
        None if of_batch.sampled => of_batch.with_sampled(false).context(),
        None => Context::current(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_the_wire() {
        for sampled in [true, false] {
            let context = TraceContext::new_root(sampled);
            assert_eq!(TraceContext::parse(&context.traceparent()), Some(context));
        }
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceContext::parse(text).unwrap().traceparent(), text);
    }

    #[test]
    fn a_malformed_traceparent_is_refused() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let zero = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
        let signed = good.replacen("-0a", "-+a", 1);
        for bad in [
            "",
            "00",
            &good[1..],
            &good.replace('-', "_"),
            &zero,
            &signed,
            &"é".repeat(27),
            &good.replace('f', "g"),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACEPARENT_LENGTH: usize = 55;

/// Names one step of one story, across processes: the W3C trace context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    sampled: bool,
}

/// A `traceparent` that is not of the form `00-<32 hex>-<16 hex>-<2 hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent of version 00")]
pub struct InvalidTraceparent;

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

    /// Reads the value of a `traceparent` header.
    pub fn parse(traceparent: &str) -> Result<Self, InvalidTraceparent> {
        let well_formed = traceparent.len() == TRACEPARENT_LENGTH
            && traceparent.is_ascii()
            && traceparent.starts_with("00-")
            && traceparent.as_bytes()[35] == b'-'
            && traceparent.as_bytes()[52] == b'-'
            // The parsers below take a sign as well, which the standard does not.
            && !traceparent.contains('+');
        if !well_formed {
            return Err(InvalidTraceparent);
        }
        let trace_id =
            u128::from_str_radix(&traceparent[3..35], 16).map_err(|_| InvalidTraceparent)?;
        let span_id =
            u64::from_str_radix(&traceparent[36..52], 16).map_err(|_| InvalidTraceparent)?;
        let flags = u8::from_str_radix(&traceparent[53..], 16).map_err(|_| InvalidTraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceparent);
        }
        Ok(Self {
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

    /// 32 hexadecimal digits: what people search for.
    pub fn trace_id(&self) -> String {
        self.trace_id.to_string()
    }

    /// Whether this story is recorded.
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    /// The same, to be recorded.
    pub fn force_sampled(self) -> Self {
        self.with_sampled(true)
    }

    pub(crate) fn with_sampled(self, sampled: bool) -> Self {
        Self { sampled, ..self }
    }

    pub(crate) fn of_span(span: &SpanContext) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            sampled: span.is_sampled(),
        }
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

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trace_id.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_the_wire() {
        for sampled in [true, false] {
            let context = TraceContext::new_root(sampled);
            assert_eq!(TraceContext::parse(&context.traceparent()), Ok(context));
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
            assert_eq!(TraceContext::parse(bad), Err(InvalidTraceparent), "{bad}");
        }
    }
}

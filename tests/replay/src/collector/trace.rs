//! Follows the links out of one trace, and stops before they lead to everybody else's.

use std::collections::{HashMap, HashSet};

use super::{Span, SpanId, TraceId, Traces};

/// Spans of one trace; more than fit on a screen would tell nothing.
const SPANS_LIMIT: usize = 120;

pub(super) fn follow(traces: &Traces, trace_id: TraceId) -> Vec<Span> {
    let own = traces.spans.get(&trace_id).map_or(&[][..], Vec::as_slice);
    // What is called like a step of this trace, in another one, is another shopper's.
    let own_names: HashSet<&str> = own.iter().map(|span| span.name.as_str()).collect();
    let family = |target| with_family(traces, target, &own_names);
    let mut whole: HashMap<(TraceId, SpanId), &Span> =
        own.iter().map(|span| (key(span), span)).collect();

    let outward = own.iter().flat_map(|span| span.links.iter().copied());
    let inward = traces.linked_from.get(&trace_id);
    let inward = inward.into_iter().flatten().copied();
    let first_step: Vec<&Span> = outward.chain(inward).flat_map(family).collect();
    add(&mut whole, &first_step);

    // A commit links to every claim it carried.
    let is_others = |span: &Span| !own_names.contains(span.name.as_str());
    let first = first_step.iter();
    let targets = first.flat_map(|span| span.links.iter().copied());
    let second_step: Vec<&Span> = targets
        .filter(|(trace, _)| *trace != trace_id)
        .filter(|target| find(traces, *target).is_some_and(is_others))
        .flat_map(family)
        .collect();
    add(&mut whole, &second_step);

    let mut whole: Vec<Span> = whole.into_values().cloned().collect();
    whole.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.end_ns)));
    whole
}

fn key(span: &Span) -> (TraceId, SpanId) {
    (span.trace_id, span.span_id)
}

fn add<'a>(whole: &mut HashMap<(TraceId, SpanId), &'a Span>, spans: &[&'a Span]) {
    for span in spans {
        if whole.len() >= SPANS_LIMIT {
            return;
        }
        whole.entry(key(span)).or_insert(span);
    }
}

fn find(traces: &Traces, (trace, id): (TraceId, SpanId)) -> Option<&Span> {
    let mut spans = traces.spans.get(&trace)?.iter();
    spans.find(|span| span.span_id == id)
}

/// A span, the steps it is part of, and the steps that are part of it, but for those of other shoppers.
fn with_family<'a>(
    traces: &'a Traces,
    target: (TraceId, SpanId),
    own_names: &HashSet<&str>,
) -> Vec<&'a Span> {
    let Some(span) = find(traces, target) else {
        return Vec::new();
    };
    let all = traces.spans.get(&target.0).map_or(&[][..], Vec::as_slice);
    let mut family = vec![span];
    let parent_of = |child: &&Span| all.iter().find(|span| span.span_id == child.parent_id);
    while let Some(parent) = family.last().and_then(parent_of) {
        if family.len() >= SPANS_LIMIT || family.iter().any(|span| span.span_id == parent.span_id) {
            break;
        }
        family.push(parent);
    }
    let mut parents = vec![span.span_id];
    while let Some(parent) = parents.pop() {
        for child in all
            .iter()
            .filter(|span| span.parent_id == parent && span.span_id != parent)
            .filter(|span| !own_names.contains(span.name.as_str()))
        {
            if family.len() >= SPANS_LIMIT {
                return family;
            }
            if !family.iter().any(|span| span.span_id == child.span_id) {
                family.push(child);
                parents.push(child.span_id);
            }
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(trace: u8, id: u8, parent: u8, name: &str, links: &[(u8, u8)]) -> Span {
        Span {
            trace_id: [trace; 16],
            span_id: [id; 8],
            parent_id: [parent; 8],
            name: name.to_owned(),
            service: "test".to_owned(),
            start_ns: u64::from(id),
            end_ns: u64::from(id) + 1,
            failed: false,
            links: links
                .iter()
                .map(|(trace, id)| ([*trace; 16], [*id; 8]))
                .collect(),
        }
    }

    #[test]
    fn a_trace_holds_the_commit_and_its_lease_but_no_other_shoppers_claim() {
        let mut traces = Traces::default();
        for span in [
            span(1, 10, 0, "claim", &[]),
            span(2, 11, 0, "claim", &[]),
            span(3, 20, 0, "batch", &[]),
            span(3, 21, 20, "commit", &[(1, 10), (2, 11), (4, 30)]),
            span(3, 22, 21, "sql", &[]),
            span(3, 23, 20, "claim", &[]),
            span(3, 24, 23, "validate", &[]),
            span(4, 30, 0, "lease", &[]),
            span(4, 31, 30, "acquire", &[]),
            span(5, 40, 0, "unrelated", &[]),
        ] {
            traces.add(span);
        }
        let spans = follow(&traces, [1; 16]);
        let names: Vec<_> = spans
            .iter()
            .map(|span| format!("{} {}", span.trace_id[0], span.name))
            .collect();
        let expected = [
            "1 claim",
            "3 batch",
            "3 commit",
            "3 sql",
            "4 lease",
            "4 acquire",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn an_unknown_trace_has_no_spans() {
        assert_eq!(follow(&Traces::default(), [9; 16]), Vec::new());
    }

    #[test]
    fn a_forgotten_trace_leaves_no_links_behind() {
        let mut traces = Traces::default();
        traces.add(span(1, 10, 0, "claim", &[]));
        traces.add(span(3, 21, 0, "commit", &[(1, 10)]));
        traces.forget([3; 16]);
        assert_eq!(follow(&traces, [1; 16]).len(), 1);
        assert_eq!(traces.count, 1);
        assert!(traces.linked_from.is_empty());
    }
}

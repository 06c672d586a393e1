//! One trace over all hops, as bars over time. Time in which nothing happens, such as a shopper thinking, is cut out.

mod axis;
mod spans;

use std::collections::{HashMap, HashSet};

use axis::Axis;
pub use spans::{Span, spans};

/// The name of a span that is nothing but a wait.
pub const WAIT: &str = "waits for its turn";
const BAR_COLUMNS: usize = 44;
pub const NAME_COLUMNS: usize = 42;
const SERVICE_COLUMNS: usize = 13;
const MAX_DEPTH: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub service: String,
    pub label: String,
    pub failed: bool,
    /// Where the bar begins and ends, 0 to 1.
    pub from: f64,
    pub to: f64,
    pub duration_ns: u64,
}

#[derive(Debug, Clone)]
pub struct Waterfall {
    pub rows: Vec<Row>,
    /// Where time was cut out, 0 to 1, and how many nanoseconds.
    pub cuts: Vec<(f64, u64)>,
}

impl Waterfall {
    /// Lays out the spans of a trace. Spans of other traces, reached by a link, are marked.
    pub fn new(trace_id: &str, spans: &[Span]) -> Self {
        let axis = Axis::new(spans);
        let row = |(depth, span): (usize, &Span)| {
            let indent = "  ".repeat(depth.min(MAX_DEPTH));
            let mark = if span.trace_id == trace_id {
                ""
            } else {
                "⇢ "
            };
            Row {
                service: span.service.clone(),
                label: format!("{indent}{mark}{}", short(&span.name)),
                failed: span.failed,
                from: axis.place(span.start_ns),
                to: axis.place(span.end_ns),
                duration_ns: span.end_ns - span.start_ns,
            }
        };
        Self {
            rows: in_tree_order(spans).into_iter().map(row).collect(),
            cuts: axis.cuts(),
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let from = (row.from * BAR_COLUMNS as f64) as usize;
            let to = ((row.to * BAR_COLUMNS as f64).ceil() as usize)
                .clamp(from + 1, BAR_COLUMNS.max(from + 1));
            let column = |column| match (from..to).contains(&column) {
                true => '█',
                false => ' ',
            };
            let mut bar: Vec<char> = (0..=BAR_COLUMNS).map(column).collect();
            for (place, _) in &self.cuts {
                let column = (place * BAR_COLUMNS as f64) as usize;
                if bar[column] == ' ' {
                    bar[column] = '┊';
                }
            }
            let mark = if row.failed { '✗' } else { ' ' };
            let bar: String = bar.into_iter().collect();
            text += &format!(
                "  {:<SERVICE_COLUMNS$}{:<NAME_COLUMNS$}{mark}{bar}{:>11}\n",
                clip(&row.service, SERVICE_COLUMNS - 1),
                clip(&row.label, NAME_COLUMNS - 1),
                duration(row.duration_ns)
            );
        }
        for (_, idle) in &self.cuts {
            text += &format!("  ┊ nothing for {}\n", duration(*idle));
        }
        text
    }
}

/// Parents before their children, siblings by time.
fn in_tree_order(spans: &[Span]) -> Vec<(usize, &Span)> {
    let known: HashSet<&str> = spans.iter().map(|span| &*span.id).collect();
    let mut children: HashMap<Option<&str>, Vec<&Span>> = HashMap::new();
    for span in spans {
        let parent = Some(&*span.parent_id).filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push(span);
    }
    for siblings in children.values_mut() {
        siblings.sort_by_key(|span| (std::cmp::Reverse(span.start_ns), span.end_ns));
    }
    let mut order = Vec::new();
    let first = children.remove(&None).unwrap_or_default().into_iter();
    let mut waiting: Vec<(usize, &Span)> = first.map(|span| (0, span)).collect();
    while let Some((depth, span)) = waiting.pop() {
        order.push((depth, span));
        // Taken out, so that spans that name each other as parents cannot go round.
        let below = children.remove(&Some(&*span.id)).unwrap_or_default();
        waiting.extend(below.into_iter().map(|span| (depth + 1, span)));
    }
    order
}

/// `tidegate.quota.v1.LeaseService/AcquireLease` without its package: the service stands beside it anyway.
fn short(name: &str) -> &str {
    let service = name.split('/').next().unwrap_or(name);
    match service.rfind('.') {
        Some(dot) if name.contains('/') => &name[dot + 1..],
        _ => name,
    }
}

pub fn clip(words: &str, columns: usize) -> String {
    match words.chars().count() <= columns {
        true => words.to_owned(),
        false => words.chars().take(columns - 1).chain(['…']).collect(),
    }
}

pub fn duration(ns: u64) -> String {
    match ns as f64 / 1e6 {
        ms if ms >= 1_000.0 => format!("{:.2} s", ms / 1_000.0),
        ms => format!("{ms:.2} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn span(trace: u8, id: u8, parent: u8, service: &str, name: &str, ms: (u64, u64)) -> Span {
        Span {
            trace_id: trace.to_string(),
            id: id.to_string(),
            parent_id: parent.to_string(),
            name: name.to_owned(),
            service: service.to_owned(),
            start_ns: ms.0 * MS,
            end_ns: ms.1 * MS,
            failed: false,
        }
    }

    fn trace() -> Vec<Span> {
        let claim = "tidegate.gateway.v1.ClaimService/ClaimCoupon";
        vec![
            span(1, 1, 0, "shopper", "shopper claims", (0, 10)),
            span(1, 2, 1, "gateway", claim, (1, 9)),
            span(2, 3, 0, "issuance", "commit", (3, 8)),
            span(1, 4, 0, "shopper", "shopper orders", (2_000, 2_010)),
            span(1, 5, 4, "order-intake", "PlaceOrders", (2_001, 2_008)),
        ]
    }

    #[test]
    fn children_stand_under_their_parents_and_linked_spans_are_marked() {
        let text = Waterfall::new("1", &trace()).text();
        let lines: Vec<_> = text.lines().collect();
        let expected = [
            "shopper claims",
            "  ClaimService/ClaimCoupon ",
            "⇢ commit",
            "shopper orders",
            "PlaceOrders",
        ];
        for (place, expected) in expected.into_iter().enumerate() {
            let line = lines[place];
            assert!(line.contains(expected), "{expected} is missing in {line}");
        }
    }

    #[test]
    fn the_time_a_shopper_thinks_is_cut_out_and_said() {
        let waterfall = Waterfall::new("1", &trace());
        assert_eq!(waterfall.cuts.len(), 1);
        assert_eq!(waterfall.cuts[0].1, 1_990 * MS);
        // Claim and order take ten milliseconds each: each gets nearly half of the width.
        let rows = &waterfall.rows;
        assert!(rows[0].to > 0.45 && rows[3].from < 0.55, "{rows:?}");
        assert!(waterfall.text().contains("nothing for 1.99 s"));
    }

    #[test]
    fn a_wait_in_the_queue_is_shown_with_its_length_and_does_not_crowd_out_the_rest() {
        let spans = [
            span(1, 1, 0, "shopper", "shopper claims", (0, 5_010)),
            span(1, 2, 1, "gateway", "ClaimCoupon", (1, 4)),
            span(1, 3, 1, "shopper", WAIT, (5, 4_995)),
            span(1, 4, 1, "gateway", "ClaimCoupon", (5_001, 5_009)),
        ];
        let waterfall = Waterfall::new("1", &spans);
        let text = waterfall.text();
        let wait = text.lines().find(|line| line.contains(WAIT));
        assert!(wait.unwrap().contains("4.99 s"), "{text}");
        let last = &waterfall.rows[3];
        assert!(last.to - last.from > 0.5, "{:?}", waterfall.rows);
    }

    #[test]
    fn spans_that_name_each_other_as_parents_do_not_hang_the_report() {
        let spans = [
            span(1, 1, 2, "a", "a", (0, 1)),
            span(1, 2, 1, "a", "b", (0, 1)),
            span(1, 3, 3, "a", "own", (0, 1)),
            span(1, 4, 0, "a", "c", (0, 1)),
        ];
        assert_eq!(in_tree_order(&spans).len(), 1);
    }
}

//! What a run is held to: each demand with the figure that was measured for it.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone, Serialize)]
pub struct Criterion {
    pub what: String,
    pub bound: Bound,
    /// None if it could not be measured: the step was void, or nothing happened that could be
    /// measured.
    pub figure: Option<f64>,
    pub is_met: bool,
}

impl Criterion {
    /// Holds a figure against its bound. What was not measured is not met.
    pub fn new(what: impl Into<String>, bound: Bound, figure: Option<f64>) -> Self {
        let is_met = figure.is_some_and(|figure| match bound {
            Bound::AtLeast(least) => figure >= least,
            Bound::AtMost(most) => figure <= most,
        });
        Self {
            what: what.into(),
            bound,
            figure,
            is_met,
        }
    }
}

/// Each demand on a line of its own.
pub fn verdicts(criteria: &[Criterion]) -> String {
    criteria.iter().map(|it| format!("{it}\n")).collect()
}

impl Display for Criterion {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let (sign, bound) = match self.bound {
            Bound::AtLeast(least) => ('≥', least),
            Bound::AtMost(most) => ('≤', most),
        };
        let verdict = if self.is_met { "met" } else { "NOT MET" };
        let figure = self.figure.map(|figure| format!("{figure:.3}"));
        let figure = figure.unwrap_or_else(|| "unknown".to_owned());
        let what = &self.what;
        write!(out, "{what:<72} {figure:>9} {sign} {bound:<6} {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_at_its_bound_is_met_and_an_unknown_one_never() {
        let met = |bound, figure| Criterion::new("", bound, figure).is_met;
        assert!(met(Bound::AtLeast(0.9), Some(0.9)) && met(Bound::AtMost(2.0), Some(2.0)));
        assert!(!met(Bound::AtLeast(0.9), Some(0.89)) && !met(Bound::AtMost(2.0), Some(2.1)));
        assert!(!met(Bound::AtMost(2.0), None) && !met(Bound::AtMost(2.0), Some(f64::NAN)));
    }
}

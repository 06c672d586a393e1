//! What a run is held to: each demand with the figure that was measured for it.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    pub what: String,
    bound: Bound,
    /// None if it could not be measured: the step was void, or nothing happened that could be
    /// measured.
    pub figure: Option<f64>,
    pub is_met: bool,
}

pub fn at_least(least: f64, what: impl Into<String>, figure: Option<f64>) -> Criterion {
    Criterion {
        what: what.into(),
        bound: Bound::AtLeast(least),
        figure,
        is_met: figure.is_some_and(|figure| figure >= least),
    }
}

pub fn at_most(most: f64, what: impl Into<String>, figure: Option<f64>) -> Criterion {
    Criterion {
        what: what.into(),
        bound: Bound::AtMost(most),
        figure,
        is_met: figure.is_some_and(|figure| figure <= most),
    }
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

/// The demand with these words in it: its figure, and whether it is met.
#[cfg(test)]
pub fn found(criteria: &[Criterion], what: &str) -> (Option<f64>, bool) {
    let mut criteria = criteria.iter();
    let found = criteria.find(|it| it.what.contains(what)).unwrap();
    (found.figure, found.is_met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_at_its_bound_is_met_and_an_unknown_one_never() {
        assert!(at_least(0.9, "", Some(0.9)).is_met && at_most(2.0, "", Some(2.0)).is_met);
        assert!(!at_least(0.9, "", Some(0.89)).is_met && !at_most(2.0, "", Some(2.1)).is_met);
        assert!(!at_most(2.0, "", None).is_met && !at_most(2.0, "", Some(f64::NAN)).is_met);
    }
}

use std::fmt::Display;

/// The most bad fields that are named; a hostile request could have thousands, and the others are counted.
const MAX_VIOLATIONS: usize = 32;

/// One field that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path, such as `lines[2].quantity`.
    pub field: String,
    /// What it must be.
    pub description: String,
}

/// Collects every bad field of a request, so that the caller can mend all at once.
#[derive(Debug, Clone, Default)]
pub struct Violations {
    named: Vec<FieldViolation>,
    left_out: usize,
}

impl Violations {
    /// Hands a good value through and notes a bad one.
    pub fn check<T, E: Display>(&mut self, field: impl Display, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Notes a bad field.
    pub fn add(&mut self, field: impl Display, description: impl Display) {
        if self.named.len() < MAX_VIOLATIONS {
            self.named.push(FieldViolation {
                field: field.to_string(),
                description: description.to_string(),
            });
        } else {
            self.left_out += 1;
        }
    }

    /// True as long as every field was good.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// How many were noted and are not named.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Those that are named.
    pub fn into_vec(self) -> Vec<FieldViolation> {
        self.named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_fields_beyond_those_that_are_named_are_counted() {
        let mut bad = Violations::default();
        for place in 0..MAX_VIOLATIONS + 37 {
            bad.add(format_args!("lines[{place}].sku"), "must not be empty");
        }
        assert_eq!(bad.left_out(), 37);
        assert_eq!(bad.into_vec().len(), MAX_VIOLATIONS);
    }
}

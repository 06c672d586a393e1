use std::fmt::Display;

/// The most bad fields that one answer names; a hostile request could have thousands.
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
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Hands a good value through and notes a bad one.
    pub fn check<T, E: Display>(&mut self, field: impl Display, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// Notes a bad field.
    pub fn add(&mut self, field: impl Display, description: impl Display) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(FieldViolation {
                field: field.to_string(),
                description: description.to_string(),
            });
        }
    }

    /// True as long as every field was good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that was noted.
    pub fn as_slice(&self) -> &[FieldViolation] {
        &self.0
    }

    /// All that was noted.
    pub fn into_vec(self) -> Vec<FieldViolation> {
        self.0
    }
}

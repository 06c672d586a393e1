//! Small repositories for the tests of the rules.

use crate::repository::{Fault, File, Repository};

/// A repository of files with the given paths and texts.
pub fn repository(files: &[(&str, &str)]) -> Repository {
    Repository {
        files: files
            .iter()
            .map(|(path, text)| File::new(path, text.as_bytes().to_vec(), false))
            .collect(),
    }
}

/// Where the faults are, as `path:line`.
pub fn places(faults: &[Fault]) -> Vec<String> {
    faults
        .iter()
        .map(|fault| format!("{}:{}", fault.path, fault.line))
        .collect()
}

//! The rules of this repository. Each is a pure function from the files that git lists to the faults found in them; `tests/repository.rs`
//! holds them over the repository itself, and each module's own tests show that its rules can be broken.

pub mod imports;
pub mod layout;
pub mod links;
pub mod manifests;
pub mod repository;
pub mod rust_source;
pub mod sql;
pub mod test_code;
pub mod use_trees;
pub mod variables;
pub mod wording;

#[cfg(test)]
mod samples;

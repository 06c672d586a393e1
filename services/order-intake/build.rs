//! Builds anew when a migration is added: the macro that takes them in does not look for new files.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}

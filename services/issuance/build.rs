//! The migrations are compiled into the binary; a new file among them has to compile it again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}

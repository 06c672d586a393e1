//! Order-intake's promises, asked for over gRPC.

// All of it is test code, helpers included; an unwrap here says what the test expects.
#![allow(clippy::unwrap_used)]

mod database;
mod suite;

mod service {
    mod access;
    mod auditing;
    mod cancelling;
    mod closing;
    mod failing;
    mod false_codes;
    mod faults;
    mod feed;
    mod fulfilling;
    mod hanging_up;
    mod late;
    mod looking_up;
    mod missing_keys;
    mod placing;
    mod recording;
    mod refusals;
    mod slots;
}

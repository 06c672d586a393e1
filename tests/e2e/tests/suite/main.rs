//! What the whole suite promises, tested on real processes. One binary, because each one more would link everything once more.

mod cancel;
mod claims;
mod control;
mod faults;
mod feed;
mod hostile;
mod late_crowd;
mod metadata;
mod orders;
mod queue;
mod reclaim;
mod request_ids;
mod security;
mod stores;
mod trace;

//! Claims: each is answered once and for ever, and never beyond the stock.

mod batches;
mod connections;
mod fences;
mod history;
mod leases;
mod random_batches;
mod replays;

//! Claims against a real database: each is answered once and for ever, and never beyond the stock.

#[path = "../database/mod.rs"]
mod database;
#[path = "../lane/mod.rs"]
mod lane;

mod batches;
mod connections;
mod fences;
mod flaky_path;
mod history;
mod leases;
mod random_batches;
mod replays;
mod seals;

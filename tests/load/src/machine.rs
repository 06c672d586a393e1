//! The machine that a figure was measured on.

use std::{
    fmt::{Display, Formatter, Result},
    fs, thread,
};

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub processors: usize,
    pub processor_model: String,
}

impl Machine {
    pub fn this() -> Self {
        let facts = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = facts
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split(": ").nth(1));
        Self {
            processors: thread::available_parallelism().map_or(0, usize::from),
            processor_model: model.unwrap_or("unknown").to_owned(),
        }
    }
}

impl Display for Machine {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        write!(out, "{} × {}", self.processors, self.processor_model)
    }
}

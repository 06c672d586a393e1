//! What a run found: words for people on standard output, and files for people and machines.

use std::{
    fmt::{self, Display, Formatter},
    fs,
    io::{self, Write},
    path::Path,
    thread,
};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use procfs_core::{CpuInfo, FromBufRead};
use serde::Serialize;

use crate::{criteria::Criterion, tell};

#[derive(Serialize)]
struct Report<'a, Figures> {
    machine: String,
    #[serde(flatten)]
    figures: &'a Figures,
    criteria: &'a [Criterion],
}

impl<Figures: Display> Display for Report<'_, Figures> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n{}", self.machine, self.figures)?;
        self.criteria
            .iter()
            .try_for_each(|it| writeln!(out, "{it}"))
    }
}

/// Prints the figures and what they are held to, and writes `<name>.txt` and `<name>.json`.
pub fn write(
    folder: &Path,
    name: &str,
    figures: &(impl Serialize + Display),
    criteria: &[Criterion],
) -> Result<()> {
    let report = Report {
        machine: machine(),
        figures,
        criteria,
    };
    let words = report.to_string();
    // Whoever reads may have gone; the files are written all the same.
    let _ = writeln!(io::stdout(), "{words}");
    write_file(folder, &format!("{name}.txt"), &words)?;
    let json = serde_json::to_string_pretty(&report)? + "\n";
    write_file(folder, &format!("{name}.json"), &json)
}

pub fn write_file(folder: &Path, name: &str, content: &str) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, content).with_context(|| format!("{} cannot be written", file.display()))?;
    tell(&format!("Written {}", file.display()));
    Ok(())
}

/// The machine that was measured on.
fn machine() -> String {
    let facts = fs::read("/proc/cpuinfo").unwrap_or_default();
    let facts = CpuInfo::from_buf_read(&*facts).ok();
    let model = facts.as_ref().and_then(|facts| facts.model_name(0));
    let processors = thread::available_parallelism().map_or(0, usize::from);
    format!("{processors} × {}", model.unwrap_or("unknown"))
}

/// A table in plain text. Cells of a row are parted by `|`, and so are their headings; all columns
/// but the last one end at the right.
pub fn table(heading: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heading.split('|'));
    for row in rows {
        table.add_row(row.split('|'));
    }
    for column in table.column_iter_mut().rev().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt() + "\n"
}

/// Milliseconds for a cell; a dash if they are not known.
pub fn told(time_ms: Option<f64>) -> String {
    time_ms.map_or_else(|| "-".to_owned(), |time_ms| format!("{time_ms:.0}"))
}

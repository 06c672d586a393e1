//! Tables for people, in plain text.

use std::fmt::{self, Display, Formatter};

/// Rows of cells that are parted by `|`. Each column is as wide as its widest cell; the last one
/// ends where it ends.
pub struct Table(Vec<String>);

impl Table {
    pub fn new(heading: &str) -> Self {
        Self(vec![heading.to_owned()])
    }

    pub fn row(&mut self, cells: String) {
        self.0.push(cells);
    }
}

impl Display for Table {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let rows: Vec<Vec<&str>> = self.0.iter().map(|row| row.split('|').collect()).collect();
        let mut widths = Vec::new();
        for row in &rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        for row in &rows {
            for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let is_last = place + 1 == widths.len();
                if is_last {
                    write!(out, "  {cell}")?;
                } else {
                    write!(out, "  {cell:>width$}")?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Milliseconds for a cell; a dash if they are not known.
pub fn told(time_ms: Option<f64>) -> String {
    time_ms.map_or_else(|| "-".to_owned(), |time_ms| format!("{time_ms:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cells_and_the_last_one_ends_where_it_ends() {
        let mut table = Table::new("load|÷ peak|refused");
        table.row(format!("10|{:.2}|QUEUE_FULL 7", 0.5));
        let expected = "  load  ÷ peak  refused\n    10    0.50  QUEUE_FULL 7\n";
        assert_eq!(table.to_string(), expected);
    }
}

//! What a command tells: a table for people; JSON, YAML or CSV for machines.

use std::io::Write as _;

use anyhow::Context as _;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde_json::Value;

use crate::failure::Failure;

/// The names of the contract's enums begin their values' names; people can do without.
const ENUMS: [&str; 8] = [
    "ISSUANCE_STATE_",
    "ISSUANCE_CONTROL_",
    "REDEMPTION_STATE_",
    "REDEMPTION_CONTROL_",
    "COUPON_STATE_",
    "ORDER_STATE_",
    "STORE_STATE_",
    "REASON_",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, for people.
    Table,
    /// One document, with the field names of the contract.
    Json,
    /// The same as YAML.
    Yaml,
    /// The columns of the table.
    Csv,
}

/// A column: its head, and the place of its value in the JSON.
pub type Column = (&'static str, &'static str);

#[derive(Debug)]
pub struct Output {
    value: Value,
    columns: Vec<Column>,
    /// Where in the value the rows are.
    rows_at: &'static str,
    /// A sentence for people, beside the table; not part of what machines read.
    note: Option<String>,
    /// What the command fails with after it has told all this.
    verdict: Option<Failure>,
}

impl Output {
    pub fn list(values: Vec<Value>, columns: &[Column]) -> Self {
        Self::one(Value::Array(values), columns)
    }

    pub fn one(value: Value, columns: &[Column]) -> Self {
        Self {
            value,
            columns: columns.to_vec(),
            rows_at: "",
            note: None,
            verdict: None,
        }
    }

    pub fn said(sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        let value = serde_json::json!({ "message": sentence });
        Self::one(value, &[]).with_note(sentence)
    }

    /// The same, with a sentence for people.
    pub fn with_note(self, note: impl Into<String>) -> Self {
        let note = Some(note.into());
        Self { note, ..self }
    }

    /// The same, with the rows of its table at a place of the value.
    pub fn rows_at(self, rows_at: &'static str) -> Self {
        Self { rows_at, ..self }
    }

    /// The same, of a command that fails for it.
    pub fn with_verdict(self, verdict: Failure) -> Self {
        let verdict = Some(verdict);
        Self { verdict, ..self }
    }

    /// Tells it, and fails if that is the verdict.
    pub fn tell(self, format: Format) -> Result<(), Failure> {
        self.print(format)?;
        self.verdict.map_or(Ok(()), Err)
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    pub fn print(&self, format: Format) -> Result<(), Failure> {
        let text = match format {
            Format::Json => serde_json::to_string_pretty(&self.value).context("no JSON")? + "\n",
            Format::Yaml => serde_saphyr::to_string(&self.value).context("no YAML")?,
            Format::Csv => self.csv()?,
            Format::Table => self.text(),
        };
        write_out(&text)
    }

    /// Writes its rows without heads, one line each; JSON as one line as well.
    pub fn print_line(&self, format: Format) -> Result<(), Failure> {
        let line = |text: &str| text.replace('\n', " ") + "\n";
        let text = match (format, &self.value) {
            (Format::Json, Value::Array(values)) => values
                .iter()
                .map(|value| line(&value.to_string()))
                .collect(),
            (Format::Json, value) => line(&value.to_string()),
            (Format::Yaml, value) => {
                "---\n".to_owned() + &serde_saphyr::to_string(value).context("no YAML")?
            }
            (Format::Csv, _) => self.csv()?.lines().skip(1).map(line).collect(),
            (Format::Table, _) => self.rows().map(|row| line(&row.join("  "))).collect(),
        };
        write_out(&text)
    }

    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let values = match self.value.pointer(self.rows_at) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        values.iter().map(|value| {
            let cells = self.columns.iter();
            cells.map(|(_, place)| cell(value, place)).collect()
        })
    }

    fn csv(&self) -> Result<String, Failure> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let places = self.columns.iter().map(|(_, place)| place);
        let heads = places.map(|place| place.trim_start_matches('/'));
        writer.write_record(heads).context("no CSV")?;
        for row in self.rows() {
            writer.write_record(row).context("no CSV")?;
        }
        let bytes = writer.into_inner().context("no CSV")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The table for people, and the sentence beside it.
    pub fn text(&self) -> String {
        let mut rows = self.rows();
        let text = match self.value.pointer(self.rows_at) {
            _ if self.columns.is_empty() => String::new(),
            Some(Value::Array(_)) => columns(&self.columns, rows.collect()),
            _ => rows
                .next()
                .map_or(String::new(), |row| fields(&self.columns, row)),
        };
        let note = self.note.as_ref().map(|note| format!("{note}\n"));
        text + &note.unwrap_or_default()
    }
}

/// The heads of lines that follow one by one; JSON and YAML have none.
pub fn print_heads(columns: &[Column], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json | Format::Yaml => Ok(()),
        Format::Csv => write_out(&Output::list(Vec::new(), columns).csv()?),
        Format::Table => {
            let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
            write_out(&(heads.join("  ") + "\n"))
        }
    }
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written.context("the output cannot be written")?),
    }
}

fn columns(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return "None.\n".to_owned();
    }
    let mut table = plain_table();
    table.set_header(columns.iter().map(|(head, _)| *head));
    table.add_rows(rows);
    trimmed(&table)
}

fn fields(columns: &[Column], row: Vec<String>) -> String {
    let mut table = plain_table();
    for ((head, _), value) in columns.iter().zip(row) {
        if !value.is_empty() {
            table.add_row([(*head).to_owned(), value]);
        }
    }
    trimmed(&table)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Without the space that the table puts before each line, and those behind it.
fn trimmed(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        let line = line.strip_prefix(' ').unwrap_or(&line);
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// The value at a place, as a person reads it: enum values without their type's name, moments
/// without fractions of a second, amounts with their currency.
fn cell(value: &Value, place: &str) -> String {
    match value.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => {
            let bare = ENUMS.iter().find_map(|name| text.strip_prefix(name));
            match bare {
                Some("UNSPECIFIED") => String::new(),
                Some(bare) => bare.to_owned(),
                None => whole_seconds(text).unwrap_or(text.clone()),
            }
        }
        Some(Value::Array(values)) => {
            let texts = values.iter().map(|value| cell(value, ""));
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Object(fields)) if fields.contains_key("minor_units") => {
            let amount = cell(value, &format!("{place}/minor_units"));
            let currency = cell(value, &format!("{place}/currency_code"));
            format!("{amount} minor units {currency}")
        }
        Some(Value::Object(fields)) => {
            let field = |(name, value)| format!("{name}={}", cell(value, ""));
            let texts = fields.iter().map(field);
            texts.collect::<Vec<_>>().join(" ")
        }
        Some(value) => value.to_string(),
    }
}

/// A moment in UTC without its fraction; `None` if the text is none.
fn whole_seconds(text: &str) -> Option<String> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let moment = format!("{whole}Z");
    let is_moment = moment.parse::<jiff::Timestamp>().is_ok();
    (is_moment && fraction.bytes().all(|digit| digit.is_ascii_digit())).then_some(moment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_names_whole_seconds_and_amounts() {
        let value = json!({
            "state": "ORDER_STATE_READY", "reason": "REASON_UNSPECIFIED",
            "at": "2026-12-01T10:00:00.123456Z", "name": "v1.5Z",
            "total": { "minor_units": 500, "currency_code": "CNY" },
        });
        assert_eq!(cell(&value, "/state"), "READY");
        assert_eq!(cell(&value, "/reason"), "");
        assert_eq!(cell(&value, "/at"), "2026-12-01T10:00:00Z");
        assert_eq!(cell(&value, "/name"), "v1.5Z");
        assert_eq!(cell(&value, "/total"), "500 minor units CNY");
    }

    #[test]
    fn a_table_and_csv_show_the_same_columns() {
        let values = vec![json!({ "id": "tea", "stock": 3 }), json!({ "id": "cake" })];
        let output = Output::list(values, &[("ID", "/id"), ("STOCK", "/stock")]);
        let table = output.text();
        let words: Vec<_> = table.split_whitespace().collect();
        assert_eq!(words, ["ID", "STOCK", "tea", "3", "cake"]);
        assert_eq!(output.csv().unwrap(), "id,stock\ntea,3\ncake,\n");
    }
}

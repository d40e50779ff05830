//! How the client commands show things: tables for people, JSON for programs.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

/// What a list looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Columns.
    #[default]
    Table,
    /// A JSON array.
    Json,
}

/// Columns of left-aligned cells.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row; control characters of names from outside are shown as `?`, so that they cannot drive a terminal.
    pub fn push(&mut self, cells: Vec<String>) {
        let printable = |cell: String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.rows.push(cells.into_iter().map(printable).collect());
    }

    /// The table as text.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let line = |row: &Vec<String>| {
            let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   ")).collect();
            format!("{}\n", cells.trim_end())
        };
        self.rows.iter().map(line).collect()
    }
}

/// Prints a list in the format asked for.
pub fn print_list(format: Format, table: &Table, json: Vec<Value>) -> Result<()> {
    match format {
        Format::Table => write!(io::stdout(), "{}", table.render())?,
        Format::Json => print_json(&Value::Array(json))?,
    }
    Ok(())
}

/// Prints a JSON value for people to read.
pub fn print_json(value: &Value) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// Prints one line.
pub fn print_line(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

/// Tells a person what happens, on standard error, where it disturbs no program.
pub fn tell(line: &str) {
    // Nobody is left to tell when standard error is gone.
    writeln!(io::stderr(), "{line}").ok();
}

/// The first twelve characters of an id, as tables show it.
pub fn short_id(id: &str) -> String {
    id.chars().take(12).collect()
}

/// A number of bytes in decimal units.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count}B");
    }
    let mut tenths = count / 100;
    let mut unit = 0;
    // Sixty-four bits end below twenty exabytes.
    while tenths >= 10_000 {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
}

/// How long ago a wall-clock moment was, in nanoseconds since the epoch; `-` for never.
pub fn age(since_ns: i64) -> String {
    let Some(since) = u64::try_from(since_ns).ok().filter(|since| *since > 0) else {
        return "-".to_owned();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    duration(now.saturating_sub(Duration::from_nanos(since)))
}

/// A duration in its largest unit.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 120 => format!("{seconds}s"),
        seconds if seconds < 7200 => format!("{}m", seconds / 60),
        seconds if seconds < 172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cannot_drive_a_terminal() {
        let mut table = Table::new(&["NAME", "ID"]);
        table.push(vec!["a\u{1b}[2J".to_owned(), "1".to_owned()]);
        table.push(vec!["longer name".to_owned(), "2".to_owned()]);
        assert_eq!(table.render(), "NAME          ID\na?[2J         1\nlonger name   2\n");
    }

    #[test]
    fn sizes_and_ages() {
        let sizes = [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.0kB"),
            (1_234_567, "1.2MB"),
            (999_999, "999.9kB"),
            (5_000_000_000, "5.0GB"),
        ];
        for (count, expected) in sizes {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!(bytes(u64::MAX), "18.4EB");
        for (seconds, expected) in [(5, "5s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(age(0), "-");
        assert_eq!(age(-5), "-");
    }
}

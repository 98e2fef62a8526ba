//! Writing for people: tables of text on standard output. Faults go to standard error.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use crate::cli::exit::Exit;
use crate::fault::told;

/// Writes a line to standard output.
pub fn line(text: &str) {
    self::text(&format!("{text}\n"));
}

/// Writes text to standard output, without an end of line. A reader that went away ends the program quietly, like any
/// filter; whatever else keeps the text from getting there is said.
pub fn text(text: &str) {
    let mut out = io::stdout().lock();
    let Err(cause) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) else { return };
    if cause.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    fault(&told(Path::new("standard output"), &cause));
    std::process::exit(Exit::CannotWrite as i32);
}

/// A value as JSON, as it stands within an array.
#[must_use]
pub fn indented(value: &Value) -> String {
    let whole = serde_json::to_string_pretty(value).unwrap_or_default();
    whole.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Writes a line to standard error.
pub fn fault(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a value as JSON.
pub fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A field of an object as text: strings as they are, null as a dash.
#[must_use]
pub fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Writes rows in columns as wide as their widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    part_of_table(head, rows, true);
}

/// The same for a table that comes in parts: the first has the head.
pub fn part_of_table(head: &[&str], rows: &[Vec<String>], with_head: bool) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let write = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    if with_head {
        write(head.to_vec());
    }
    for row in rows {
        write(row.iter().map(String::as_str).collect());
    }
}

//! Markdown, for pages that others shall read.

use std::iter;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, LineStyle, Table};

/// A list of `lines`.
pub fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// A table: names on the left, and numbers after them.
pub fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // The line below the header is a row of ours, because it also says that numbers go to the right.
    table.load_style(ASCII_MARKDOWN.header_separator(LineStyle::none())).set_header(columns);
    table.add_row(iter::once("---").chain(iter::repeat_n("---:", columns.len() - 1)));
    for row in rows {
        table.add_row(row.into_iter().map(|cell| cell.replace('|', "\\|")));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

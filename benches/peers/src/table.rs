//! What was measured, as a table.

use std::fmt::Write as _;

use crate::{
    measure::{Contender, Cost},
    requests::{Provider, Workload},
};

pub(crate) struct Results<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) contenders: &'a [Contender],
    pub(crate) bare: Cost,
    pub(crate) rounds: usize,
}

const BARE: &str = "the signature check alone";

impl Results<'_> {
    fn workloads(&self) -> &[Workload] {
        &self.provider.workloads
    }

    fn cell(&self, cost: Cost) -> String {
        let times = cost.nanoseconds() / self.bare.nanoseconds();
        format!("{} µs ({times:.2}×)", microseconds(cost))
    }

    /// Rows of the crates: what is said of each, for each workload.
    fn rows(&self, say: impl Fn(Cost) -> String) -> Vec<Vec<String>> {
        let mut heads = vec![String::new()];
        heads.extend(self.workloads().iter().map(|workload| workload.name.to_owned()));
        let mut bare = vec![BARE.to_owned(), say(self.bare)];
        bare.resize(heads.len(), String::new());
        let mut rows = vec![heads, bare];
        for contender in self.contenders {
            let mut row = vec![contender.name.clone()];
            row.extend(contender.costs.iter().map(|cost| cost.map_or_else(String::new, &say)));
            rows.push(row);
        }
        rows
    }

    pub(crate) fn plain(&self) -> String {
        let rows = self.rows(|cost| format!("{} {:>3}a", self.cell(cost), cost.allocations));
        let wide = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..rows[0].len()).map(wide).collect();
        let mut text = String::new();
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let _ = if column == 0 { write!(text, "{cell:width$}") } else { write!(text, "  {cell:>width$}") };
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "A request with an RS256 access token of {} bytes, best of {} rounds that took turns: µs, and in brackets \
             as a multiple of {BARE}.\n\n",
            self.provider.good.len(),
            self.rounds
        );
        markdown_table(&mut text, &self.rows(|cost| self.cell(cost)));
        text.push_str(
            "\nScopegate remembers verdicts unless told otherwise: a good token is checked in full when it is first \
             seen, and the row with `VerdictCache::off()` is what that takes. What a refusal carries differs between \
             the crates, and so does what a handler is given. No log subscriber is installed.\n",
        );
        text.push_str("\nAllocations a request:\n\n");
        markdown_table(&mut text, &self.rows(|cost| cost.allocations.to_string()));
        text.push_str("\nHow each was configured:\n\n");
        for contender in self.contenders {
            let _ = writeln!(text, "- {}: {}.", contender.name, contender.how);
        }
        text
    }
}

fn microseconds(cost: Cost) -> String {
    let time = cost.nanoseconds() / 1000.0;
    if time < 10.0 { format!("{time:.2}") } else { format!("{time:.1}") }
}

fn markdown_table(text: &mut String, rows: &[Vec<String>]) {
    for (number, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
        }
    }
}

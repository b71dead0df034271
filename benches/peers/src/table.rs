//! Tables and their captions.

use std::{fmt::Write as _, time::Duration};

use crate::{
    http::{Rounds, median, ratio},
    measure::{Contender, Cost, Outcome},
    requests::Workload,
};

const BARE: &str = "the signature check alone";

/// Rows of cells, the first of which is the head.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    fn new(heads: impl IntoIterator<Item = String>) -> Self {
        Self(vec![[String::new()].into_iter().chain(heads).collect()])
    }

    fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let mut row = vec![name.to_owned()];
        row.extend(cells);
        row.resize(self.0[0].len(), String::new());
        self.0.push(row);
    }

    /// For a terminal.
    pub(crate) fn plain(&self) -> String {
        let wide = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..self.0[0].len()).map(wide).collect();
        let mut text = String::new();
        for row in &self.0 {
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
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|---|{}", "---:|".repeat(row.len() - 1));
            }
        }
        text
    }
}

/// A measured section, for readers.
pub(crate) struct Section {
    pub(crate) about: String,
    pub(crate) table: Table,
}

/// The results in process, with one algorithm.
pub(crate) struct InProcess {
    pub(crate) algorithm: String,
    pub(crate) token_bytes: usize,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) bare: Cost,
}

impl InProcess {
    pub(crate) fn times(&self) -> Section {
        let about = format!(
            "In process, {}, a token of {} bytes: µs for a request, and in brackets as a multiple of {BARE}",
            self.algorithm, self.token_bytes
        );
        Section { about, table: self.table(|cost| self.time(cost)) }
    }

    pub(crate) fn allocations(&self) -> Section {
        let table = self.table(|cost| cost.allocations.to_string());
        Section { about: format!("In process, {}: allocations for a request", self.algorithm), table }
    }

    pub(crate) fn time(&self, cost: Cost) -> String {
        let times = cost.nanoseconds() / self.bare.nanoseconds();
        format!("{} µs ({times:.2}×)", microseconds(cost.time))
    }

    fn table(&self, say: impl Fn(Cost) -> String) -> Table {
        let mut table = Table::new(self.workloads.iter().map(|workload| workload.name.to_owned()));
        table.row(BARE, [say(self.bare)]);
        for contender in &self.contenders {
            table.row(&contender.name, contender.outcomes.iter().map(|outcome| told(*outcome, &say)));
        }
        table
    }
}

/// The first workload of each, for a comparison of the algorithms.
pub(crate) fn algorithms(
    about: impl Into<String>,
    all: &[InProcess],
    say: impl Fn(&InProcess, Cost) -> String,
) -> Section {
    let mut table = Table::new(all.iter().map(|one| format!("{}, {}", one.algorithm, one.workloads[0].name)));
    table.row(BARE, all.iter().map(|one| say(one, one.bare)));
    for (number, contender) in all.first().map_or(&[][..], |one| &one.contenders).iter().enumerate() {
        let cells = all.iter().map(|one| told(one.contenders[number].outcomes[0], |cost| say(one, cost)));
        table.row(&contender.name, cells);
    }
    Section { about: about.into(), table }
}

fn told(outcome: Outcome, say: impl Fn(Cost) -> String) -> String {
    match outcome {
        Outcome::NotSent => String::new(),
        Outcome::Refused(status) => format!("refuses it ({})", status.as_u16()),
        Outcome::Cost(cost) => say(cost),
    }
}

/// The results over HTTP. The first row, without auth, is the reference of the others.
pub(crate) fn over_http(workloads: &[Workload], rows: &[(String, Vec<Rounds>)]) -> Section {
    let heads = workloads
        .iter()
        .flat_map(|workload| [format!("{}, a second", workload.name), "a second of the processor".to_owned()]);
    let mut table = Table::new(heads);
    let Some((_, without)) = rows.first() else { unreachable!("there is a row without auth") };
    let cell = |rounds: &[Duration], without: &[Duration]| {
        let (time, ratio) = median(rounds).zip(ratio(rounds, without))?;
        Some(format!("{:.0} ({ratio:.2})", a_second(time)))
    };
    for (name, columns) in rows {
        let cells = columns.iter().zip(without).flat_map(|(rounds, without)| {
            [cell(&rounds.time, &without.time), cell(&rounds.processor, &without.processor)]
        });
        table.row(name, cells.map(Option::unwrap_or_default));
    }
    let about =
        "Over HTTP, RS256, 32 connections: requests a second, and in brackets beside the tower service without auth";
    Section { about: about.to_owned(), table }
}

pub(crate) fn a_second(time: Duration) -> f64 {
    1.0 / time.as_secs_f64()
}

pub(crate) fn microseconds(time: Duration) -> String {
    let time = time.as_nanos() as f64 / 1000.0;
    if time < 10.0 { format!("{time:.2}") } else { format!("{time:.1}") }
}

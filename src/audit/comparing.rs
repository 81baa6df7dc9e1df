//! What the store has against what the log gives.

use futures_util::future::join;

use super::conservation::Conservation;
use super::expected::Match;
use super::{Audit, AuditError, Kind, Step, rows};
use crate::domain::Position;
use crate::store::{Page, StateTable};

const PAGE_ROWS: u32 = 5_000;

impl Audit<'_> {
    fn compared(&mut self, rows: usize) {
        self.report.rows += rows as u64;
        (self.watch)(Step::Compared { rows: self.report.rows });
    }

    fn judge(&mut self, found: Match, position: Position, row: impl FnOnce() -> String) {
        match found {
            Match::Equal => {}
            Match::Differs => self.report.note(Some(position), || format!("the log gives another row than {}", row())),
            Match::Unknown => self.report.note(Some(position), || format!("the log gives no such row as {}", row())),
        }
    }

    pub(super) async fn compare_state(&mut self) -> Result<(), AuditError> {
        let mut conservation = Conservation::default();
        for table in StateTable::ALL {
            let mut page = self.store.state_page(table, None, PAGE_ROWS).await?;
            while !page.is_empty() {
                let (store, rows) = (self.store, std::mem::take(&mut page));
                let compare = async {
                    for row in &rows {
                        conservation.row(row);
                        self.turns.row(row);
                        let found = self.expected.state(row);
                        self.judge(found, rows::arrival(row).position, || format!("{row:?}"));
                    }
                    self.compared(rows.len());
                };
                let is_last = rows.len() < PAGE_ROWS as usize;
                let next = async {
                    if is_last { Ok(Vec::new()) } else { store.state_page(table, rows.last(), PAGE_ROWS).await }
                };
                page = join(next, compare).await.0?;
            }
        }
        for complaint in conservation.complaints() {
            self.report.note(None, || complaint);
        }
        Ok(())
    }

    pub(super) async fn compare_requests(&mut self) -> Result<(), AuditError> {
        let mut page = self.store.requests_page(None, PAGE_ROWS).await?;
        while !page.is_empty() {
            let (store, rows) = (self.store, std::mem::take(&mut page));
            let compare = async {
                for row in &rows {
                    let found = self.expected.request(row);
                    self.judge(found, row.position, || format!("{row:?}"));
                }
                self.compared(rows.len());
            };
            let is_last = rows.len() < PAGE_ROWS as usize;
            let next =
                async { if is_last { Ok(Vec::new()) } else { store.requests_page(rows.last(), PAGE_ROWS).await } };
            page = join(next, compare).await.0?;
        }
        Ok(())
    }

    pub(super) async fn compare_dead_letters(&mut self) -> Result<(), AuditError> {
        let mut after = None;
        loop {
            let views = self.store.dead_letters(Page { after, limit: PAGE_ROWS }).await?;
            // What the log refused to take was decided all the same: its decision is compared, not its way.
            for view in views.iter().filter(|view| view.letter.unsent_to.is_none()) {
                let found = self.expected.dead_letter(&view.letter);
                self.judge(found, view.letter.position, || format!("{:?}", view.letter));
            }
            self.compared(views.len());
            match views.last() {
                Some(last) if views.len() == PAGE_ROWS as usize => after = Some(last.letter.position),
                _ => return Ok(()),
            }
        }
    }

    /// What the log gives and the store does not have. Old requests and dead letters are forgotten by and by.
    pub(super) fn missing(&mut self) {
        let (report, mut forgotten) = (&mut self.report, 0);
        for (kind, position, at) in self.expected.missing() {
            let old = self.counts_since.get(&position.partition).is_some_and(|since| at < *since);
            if matches!(kind, Kind::Request | Kind::DeadLetter) && old {
                forgotten += 1;
                continue;
            }
            report.note(Some(position), || format!("the store has no {} row of this command", kind.as_str()));
        }
        report.forgotten = forgotten;
    }
}

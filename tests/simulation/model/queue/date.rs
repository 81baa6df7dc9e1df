//! Whether seats of the queue's date can be bought, from all that its blocks have said.

use std::collections::BTreeMap;

use turnstile::domain::LogTime;
use turnstile::domain::block::{SaleNote, SaleState};
use turnstile::domain::queue::{NoteSale, OpenQueue};

/// What held from a time on.
#[derive(Debug, Clone, PartialEq)]
struct Offer {
    state: SaleState,
    opens: i64,
    starts: i64,
    paused: bool,
}

#[derive(Default)]
pub struct DateModel {
    window: Option<(Option<LogTime>, LogTime)>,
    /// The newest note of each block.
    pub notes: BTreeMap<String, Option<SaleNote>>,
    /// `None`: admission goes on.
    pub paused_since: Option<LogTime>,
    past: Vec<(i64, Offer)>,
}

impl DateModel {
    pub fn opened(&mut self, open: &OpenQueue, time: LogTime) {
        self.window = Some((open.sales_open_at, open.starts_at));
        self.notes = open.blocks.iter().map(|block| (block.to_string(), None)).collect();
        self.changed(time);
    }

    pub fn noted(&mut self, note: &NoteSale, time: LogTime) {
        if let Some(kept) = self.notes.get_mut(note.block.as_str())
            && kept.is_none_or(|kept| kept.version < note.note.version)
        {
            *kept = Some(note.note);
        }
        self.changed(time);
    }

    pub fn set_paused(&mut self, paused: bool, time: LogTime) {
        self.paused_since = paused.then(|| self.paused_since.unwrap_or(time));
        self.changed(time);
    }

    fn changed(&mut self, time: LogTime) {
        let offer = self.offer();
        self.past.push((time.0, offer));
    }

    fn offer(&self) -> Offer {
        let (opens, starts) = self.window.expect("the queue is open");
        let of = |note: &Option<SaleNote>| match note {
            None => (SaleState::Open, opens, starts),
            Some(note) => (note.state, note.sales_open_at, note.starts_at),
        };
        let blocks: Vec<_> = self.notes.values().map(of).collect();
        let best = [SaleState::Open, SaleState::AllHeld, SaleState::SoldOut, SaleState::Cancelled];
        let state = best.into_iter().find(|state| blocks.iter().any(|(has, ..)| has == state)).expect("a block");
        let having = || blocks.iter().filter(|(has, ..)| *has == state);
        let opens = having().map(|(_, opens, _)| opens.map_or(i64::MIN, |at| at.0)).min().expect("a block");
        let starts = having().map(|(_, _, starts)| starts.0).max().expect("a block");
        Offer { state, opens, starts, paused: self.paused_since.is_some() }
    }

    /// Besides a pause.
    pub fn sale(&self, time: LogTime) -> &'static str {
        let offer = self.offer();
        match offer.state {
            SaleState::Cancelled => "cancelled",
            _ if time.0 >= offer.starts => "closed",
            _ if time.0 < offer.opens => "lobby",
            state => state.as_str(),
        }
    }

    /// Milliseconds up to this time with seats on sale or held, and no pause.
    pub fn on_sale_ms(&self, time: LogTime) -> i64 {
        let ends = self.past.iter().skip(1).map(|(at, _)| *at).chain([time.0]);
        let spans = self.past.iter().zip(ends).map(|((at, offer), end)| {
            let runs = matches!(offer.state, SaleState::Open | SaleState::AllHeld) && !offer.paused;
            if runs { (end.min(offer.starts) - (*at).max(offer.opens)).max(0) } else { 0 }
        });
        spans.sum()
    }
}

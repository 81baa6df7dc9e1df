//! One date's seats between reads: what was read, what outcomes told since, and whether that can be relied on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::live_map::LiveMap;
use super::seat_map::SeatMap;
use super::seat_news::{SeatChange, SeatNews};

/// A date is read this often, whatever outcomes tell.
pub(super) const READ_ANYWAY: Duration = Duration::from_secs(10);
/// News from before a read that are applied to it again: a relay of others may publish a commit a moment before the store
/// shows it.
const AHEAD_MAX: Duration = Duration::from_secs(1);
/// Most news kept for one read, and most that come while nobody asks.
pub(super) const NEWS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct LiveDate {
    live: Option<LiveMap>,
    /// The read that `live` rests on.
    read: Option<Begun>,
    /// Outcomes of this date come in order.
    told_in_order: bool,
    /// How often what was read before became unreliable.
    doubts: u64,
    /// A read is under way.
    reading: Option<Instant>,
    /// News since that read began, and some from before, as they came.
    recent: VecDeque<(Instant, SeatNews)>,
    /// News since somebody asked.
    unasked: usize,
    /// `live` as it was last asked for.
    shown: Option<Arc<SeatMap>>,
}

/// When a read began, and how many doubts there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun {
    at: Instant,
    doubts: u64,
}

/// Why a date is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not in memory.
    First,
    /// It is not, or cannot be, kept up by outcomes.
    Untold,
    /// An outcome does not say enough, or one may be missing.
    Stale,
    /// [`READ_ANYWAY`] has passed.
    Anyway,
}

impl Why {
    pub fn as_str(self) -> &'static str {
        match self {
            Why::First => "first",
            Why::Untold => "untold",
            Why::Stale => "stale",
            Why::Anyway => "anyway",
        }
    }
}

impl LiveDate {
    /// The seats as they are now, unless they have to be read.
    pub fn shown(&mut self, feed_running: bool) -> Result<Arc<SeatMap>, Why> {
        self.unasked = 0;
        let (Some(live), Some(read)) = (&self.live, self.read) else { return Err(Why::First) };
        if !feed_running || !self.told_in_order {
            return Err(Why::Untold);
        }
        if read.doubts != self.doubts {
            return Err(Why::Stale);
        }
        if read.at.elapsed() >= READ_ANYWAY {
            return Err(Why::Anyway);
        }
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.version() == live.seats().version) {
            return Ok(shown.clone());
        }
        let shown = Arc::new(SeatMap::of(live.seats().clone()));
        self.shown = Some(shown.clone());
        Ok(shown)
    }

    /// What was read before now is not to be relied on.
    pub fn doubt(&mut self) {
        self.doubts += 1;
    }

    /// Whether nobody has asked for long.
    pub fn is_idle(&self) -> bool {
        self.unasked > NEWS_MAX && self.reading.is_none()
    }

    /// Takes in what an outcome says; `None`: it cannot be read. `version`: of what shows because of it.
    pub fn hear(&mut self, news: Option<SeatNews>, version: u64) {
        self.unasked += 1;
        let now = Instant::now();
        let Some(news) = news else { return self.doubt() };
        if self.live.as_mut().is_some_and(|live| live.apply(&news, version).is_err()) {
            self.doubt();
        }
        self.recent.push_back((now, news));
        self.forget_recent(self.reading.unwrap_or(now));
        if self.recent.len() > NEWS_MAX {
            self.recent.clear();
            self.doubt();
        }
    }

    fn forget_recent(&mut self, since: Instant) {
        while self.recent.front().is_some_and(|(heard, _)| *heard + AHEAD_MAX < since) {
            self.recent.pop_front();
        }
    }

    /// A read begins: from now on all news are kept.
    pub fn begin(&mut self) -> Begun {
        let at = Instant::now();
        self.forget_recent(at);
        self.reading = Some(at);
        Begun { at, doubts: self.doubts }
    }

    pub fn end(&mut self) {
        self.reading = None;
    }

    /// What was read since `begun`. `version`: of what shows differently than before.
    pub fn read(&mut self, mut live: LiveMap, begun: Begun, outcomes: u32, version: u64) {
        let believed = self.told_in_order && self.read.is_some_and(|read| read.doubts == self.doubts);
        for (heard, news) in &self.recent {
            // Sections that changed before are part of what was read.
            let is_read = *heard < begun.at && news.changes == [SeatChange::Sections];
            if !is_read && live.apply(news, version).is_err() {
                self.doubts += 1;
            }
        }
        let before = self.live.take();
        let differences = live.succeed(before.as_ref().map(LiveMap::seats), version);
        if believed && differences > 0 {
            // A paid reservation that was cancelled, while its money is on the way back. Anything else is an outcome
            // that got lost.
            tracing::debug!(schedule = %live.seats().schedule_id, differences, "seats have changed without an outcome");
        }
        self.told_in_order = live.is_told_in_order(outcomes);
        (self.live, self.read, self.shown) = (Some(live), Some(begun), None);
    }

    /// The seats as they were read, whatever has become of the feed meanwhile.
    pub fn as_read(&mut self) -> Option<Arc<SeatMap>> {
        let live = self.live.as_ref()?;
        let shown = || Arc::new(SeatMap::of(live.seats().clone()));
        Some(self.shown.get_or_insert_with(shown).clone())
    }

    /// Rows it holds in memory.
    pub fn rows(&self) -> usize {
        self.live.as_ref().map_or(1, |live| live.seats().rows())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::seat_map::tests::{block, id};
    use super::super::seat_map::{Form, Seats, Since};
    use super::*;
    use crate::domain::block::SeatStatus::{self, Available, Held, Sold};
    use crate::domain::{Lane, Position, ReservationId};
    use crate::store::BlockSeats;

    const OUTCOMES: u32 = 4;

    fn rows(touched: &[(&str, SeatStatus, u64)]) -> Vec<BlockSeats> {
        vec![block(3, &[("A", 4, 1)], touched)]
    }

    fn news(offset: u64, change: SeatChange) -> Option<SeatNews> {
        let decided = Position::new(Lane::Seats, 3, offset);
        Some(SeatNews { block: "b3".parse().unwrap(), decided, changes: vec![change] })
    }

    fn hold(offset: u64, seat: &str) -> Option<SeatNews> {
        news(offset, SeatChange::Hold(ReservationId(Uuid::from_u128(9)), vec![seat.parse().unwrap()]))
    }

    fn finish(date: &mut LiveDate, begun: Begun, rows: &[BlockSeats], version: u64) {
        date.read(LiveMap::new(Seats::new(id(), rows), rows), begun, OUTCOMES, version);
        date.end();
    }

    fn read(date: &mut LiveDate, rows: &[BlockSeats], version: u64) {
        let begun = date.begin();
        finish(date, begun, rows, version);
    }

    fn letters(map: &SeatMap) -> String {
        let event = map.snapshot_event(Form::Compact);
        let text = std::str::from_utf8(&event).unwrap();
        text.split('"').nth(3).unwrap().to_owned()
    }

    /// What it shows, or why it has to be read.
    fn shown(date: &mut LiveDate) -> Result<(String, String), Why> {
        date.shown(true).map(|map| (letters(&map), map.offsets().to_string()))
    }

    fn seats(letters: &str, id: &str) -> Result<(String, String), Why> {
        Ok((letters.to_owned(), id.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_while_the_store_is_read_is_part_of_the_map_once() {
        for (rows, letters, id) in [
            (rows(&[("A-1", Sold, 12)]), "SAHA", "3:12-20"),
            (rows(&[("A-1", Sold, 12), ("A-3", Held, 20)]), "SAHA", "3:20"),
            (rows(&[("A-1", Sold, 12), ("A-3", Available, 21)]), "SAAA", "3:21"),
            (rows(&[("A-1", Sold, 21), ("A-3", Held, 20)]), "SAHA", "3:21"),
        ] {
            let mut date = LiveDate::default();
            let begun = date.begin();
            date.hear(hold(20, "A-3"), 1);
            finish(&mut date, begun, &rows, 2);
            assert_eq!(shown(&mut date), seats(letters, id));
            date.hear(hold(20, "A-3"), 3);
            assert_eq!(shown(&mut date), seats(letters, id), "published again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_heard_a_moment_before_a_read_is_not_lost_if_the_store_shows_it_later() {
        let before = rows(&[("A-1", Sold, 12)]);
        let mut date = LiveDate::default();
        date.hear(hold(20, "A-3"), 1);
        tokio::time::advance(AHEAD_MAX).await;
        read(&mut date, &before, 2);
        assert_eq!(shown(&mut date), seats("SAHA", "3:12-20"));
        tokio::time::advance(Duration::from_millis(1)).await;
        read(&mut date, &before, 3);
        assert_eq!(shown(&mut date), seats("SAAA", "3:12"), "after that the store is right");
    }

    #[tokio::test(start_paused = true)]
    async fn a_date_is_read_again_when_outcomes_do_not_suffice() {
        let rows = rows(&[("A-1", Sold, 12)]);
        let mut date = LiveDate::default();
        assert_eq!(shown(&mut date), Err(Why::First));
        read(&mut date, &rows, 1);
        assert_eq!(shown(&mut date), seats("SAAA", "3:12"));
        for doubtful in [None, hold(20, "B-1"), news(21, SeatChange::Sections)] {
            date.hear(doubtful, 2);
            assert_eq!(shown(&mut date), Err(Why::Stale));
            tokio::time::advance(Duration::from_millis(1)).await;
            // One that is not possible is not made so by reading: it is forgotten.
            tokio::time::advance(AHEAD_MAX).await;
            read(&mut date, &rows, 3);
            assert_eq!(shown(&mut date), seats("SAAA", "3:12"));
        }
        tokio::time::advance(READ_ANYWAY).await;
        assert_eq!(shown(&mut date), Err(Why::Anyway));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupted_feed_makes_what_was_read_before_unreliable() {
        let rows = rows(&[]);
        let mut date = LiveDate::default();
        read(&mut date, &rows, 1);
        assert_eq!(date.shown(false).err(), Some(Why::Untold), "while it is interrupted each is a read");
        date.doubt();
        assert_eq!(shown(&mut date), Err(Why::Stale), "it goes on, and may have missed something");
        let begun = date.begin();
        date.doubt();
        finish(&mut date, begun, &rows, 2);
        assert_eq!(shown(&mut date), Err(Why::Stale), "a read that began before does not help");
        read(&mut date, &rows, 3);
        assert_eq!(shown(&mut date), seats("AAAA", "3:0"));
    }

    #[tokio::test(start_paused = true)]
    async fn sections_that_change_while_they_are_read_are_read_again() {
        let rows = rows(&[]);
        let mut date = LiveDate::default();
        date.hear(news(5, SeatChange::Sections), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        read(&mut date, &rows, 2);
        assert_eq!(shown(&mut date), seats("AAAA", "3:0"), "heard before");
        let begun = date.begin();
        date.hear(news(6, SeatChange::Sections), 3);
        finish(&mut date, begun, &rows, 4);
        assert_eq!(shown(&mut date), Err(Why::Stale));
    }

    #[tokio::test(start_paused = true)]
    async fn dates_whose_outcomes_may_overtake_each_other_are_read() {
        let mut elsewhere = block(3, &[("B", 1, 1)], &[]);
        let at = |name: &str| crate::wire::routing::partition_for(&format!("{}/{name}", id()), OUTCOMES);
        let name = (0..).map(|number| format!("n{number}")).find(|name| at(name) != at("b3")).unwrap();
        elsewhere.block = name.parse().unwrap();
        let rows = [block(3, &[("A", 4, 1)], &[]), elsewhere];
        let mut date = LiveDate::default();
        read(&mut date, &rows, 1);
        assert_eq!(shown(&mut date), Err(Why::Untold));
        assert_eq!(date.as_read().map(|map| letters(&map)), Some("AAAA".to_owned()), "what was read is shown");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_for_a_read_and_for_nobody_is_bounded() {
        let rows = rows(&[]);
        let mut date = LiveDate::default();
        read(&mut date, &rows, 1);
        let begun = date.begin();
        for offset in 0..=NEWS_MAX as u64 {
            date.hear(news(offset, SeatChange::GiveBack(ReservationId(Uuid::nil()), vec![])), offset);
        }
        assert!(date.recent.is_empty() && !date.is_idle(), "somebody waits for the read");
        finish(&mut date, begun, &rows, 2);
        assert_eq!((date.is_idle(), shown(&mut date)), (true, Err(Why::Stale)));
        assert!(!date.is_idle(), "somebody has asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_no_outcome_told_reaches_streams_with_the_next_read() {
        let mut date = LiveDate::default();
        read(&mut date, &rows(&[("A-1", Sold, 12)]), 1);
        date.hear(hold(20, "A-3"), 2);
        let seen = date.shown(true).unwrap();
        assert_eq!((letters(&seen).as_str(), seen.version()), ("SAHA", 2));
        // A-1 was cancelled at 15, and its money is on the way back.
        read(&mut date, &rows(&[("A-1", Available, 15), ("A-3", Held, 20)]), 3);
        let now = date.shown(true).unwrap();
        let event = |since| String::from_utf8(now.changes_event(since, Form::Compact).unwrap().to_vec()).unwrap();
        assert!(event(Since::Version(2)).ends_with("id: 3:20\ndata: {\"A\":{\"A\":[1]}}\n\n"));
        assert!(event(Since::Id(seen.offsets())).contains(r#"{"A":{"A":[1],"H":[3]}}"#), "and who comes back later");
        assert!(now.changes_event(Since::Version(3), Form::Compact).is_none());
    }
}

//! Watches the seats of schedules that somebody streams: one reader a schedule, however many streams there are.
//!
//! The feed of outcomes says which schedule changed; the store says how. While nothing changes nothing is read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::time::Instant;

use super::seat_map::{Offsets, SeatMap};
use super::snapshots::AGE_MAX;
use crate::api::AppState;
use crate::api::submission::feed::Outcome;
use crate::domain::ScheduleId;

/// How often it is looked whether the feed still runs.
const LOOK: Duration = Duration::from_secs(1);
/// A schedule is read this often even if the feed tells of no change; without the feed every [`LOOK`].
const READ_ANYWAY: Duration = Duration::from_secs(10);
/// Earlier moments from which a stream can be brought up to date with an event made once for all of them.
const HISTORY: usize = 16;

/// All watched schedules.
pub struct SeatWatches {
    table: Mutex<Table>,
    streams: Arc<Semaphore>,
}

#[derive(Default)]
struct Table {
    watches: HashMap<ScheduleId, Arc<Watch>>,
    /// The task that listens to the feed is there.
    listening: bool,
}

/// One schedule that somebody streams.
struct Watch {
    changed: Notify,
    frames: watch::Sender<Arc<Frame>>,
}

/// The latest seats. Streams that lag skip frames, so a slow client costs no memory.
pub struct Frame {
    pub map: Arc<Option<SeatMap>>,
    /// What the frames before said, newest first, each with the event that leads from there to here.
    history: VecDeque<(Offsets, OnceLock<Option<Bytes>>)>,
}

impl Frame {
    pub(in crate::api) fn first(map: Arc<Option<SeatMap>>) -> Self {
        Frame { map, history: VecDeque::new() }
    }

    pub(in crate::api) fn next(&self, map: Arc<Option<SeatMap>>) -> Self {
        let own = self.map.as_ref().as_ref().map(|map| (map.offsets().clone(), OnceLock::new()));
        let before = self.history.iter().map(|(offsets, _)| (offsets.clone(), OnceLock::new()));
        Frame { map, history: own.into_iter().chain(before).take(HISTORY).collect() }
    }

    /// The event for a stream that has seen so much; `None` if there is nothing new for it.
    pub fn event_since(&self, seen: &Offsets) -> Option<Bytes> {
        let map = self.map.as_ref().as_ref()?;
        match self.history.iter().find(|(offsets, _)| offsets == seen) {
            Some((_, event)) => event.get_or_init(|| map.changes_event(seen)).clone(),
            None => map.changes_event(seen),
        }
    }
}

impl SeatWatches {
    pub fn new(streams_max: usize) -> Self {
        SeatWatches { table: Mutex::default(), streams: Arc::new(Semaphore::new(streams_max)) }
    }

    /// A place for one more stream, if there is one.
    pub fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.streams.clone().try_acquire_owned().ok()
    }

    /// The frames of a schedule from now on; `map` begins them if nobody watches the schedule yet.
    pub fn subscribe(
        &self,
        state: &Arc<AppState>,
        id: ScheduleId,
        map: Arc<Option<SeatMap>>,
    ) -> watch::Receiver<Arc<Frame>> {
        let mut table = self.lock();
        if !table.listening {
            table.listening = true;
            tokio::spawn(listen(state.clone(), state.feed.subscribe()));
        }
        if let Some(watch) = table.watches.get(&id) {
            return watch.frames.subscribe();
        }
        let (frames, receiver) = watch::channel(Arc::new(Frame::first(map)));
        let watch = Arc::new(Watch { changed: Notify::new(), frames });
        // The map may be a little older than the listening.
        watch.changed.notify_one();
        table.watches.insert(id, watch.clone());
        tokio::spawn(follow(state.clone(), id, watch));
        receiver
    }

    fn notify(&self, id: ScheduleId) {
        if let Some(watch) = self.lock().watches.get(&id) {
            watch.changed.notify_one();
        }
    }

    fn notify_all(&self) {
        self.lock().watches.values().for_each(|watch| watch.changed.notify_one());
    }

    /// Ends a watch that nobody needs; false if a stream has come meanwhile.
    fn retire(&self, id: ScheduleId, watch: &Watch) -> bool {
        let mut table = self.lock();
        let unneeded = watch.frames.receiver_count() == 0;
        if unneeded {
            table.watches.remove(&id);
        }
        unneeded
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells watches of changes until shutdown.
async fn listen(state: Arc<AppState>, mut feed: broadcast::Receiver<Arc<Outcome>>) {
    loop {
        let received = tokio::select! {
            () = state.shutdown.cancelled() => return,
            received = feed.recv() => received,
        };
        match received {
            Ok(outcome) => {
                if let Some(id) = outcome.seats_of() {
                    state.seat_watches.notify(id);
                }
            }
            Err(RecvError::Lagged(_)) => state.seat_watches.notify_all(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Reads one schedule whenever it changed, at most every [`AGE_MAX`], until nobody streams it.
async fn follow(state: Arc<AppState>, id: ScheduleId, watch: Arc<Watch>) {
    let mut read_at = Instant::now();
    loop {
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            () = watch.frames.closed() => {
                if state.seat_watches.retire(id, &watch) {
                    return;
                }
                continue;
            }
            () = watch.changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {
                if state.feed.is_running() && read_at.elapsed() < READ_ANYWAY {
                    continue;
                }
            }
        }
        read_at = Instant::now();
        match state.views.seats(id, Duration::ZERO).await {
            Ok(map) => publish(&watch, map),
            Err(error) => {
                tracing::debug!(schedule = %id, %error, "seats could not be read for their streams");
                watch.changed.notify_one();
                read_at += LOOK;
            }
        }
        tokio::select! {
            () = state.shutdown.cancelled() => return,
            () = tokio::time::sleep_until(read_at + AGE_MAX) => {}
        }
    }
}

fn publish(watch: &Watch, map: Arc<Option<SeatMap>>) {
    let Some(new) = map.as_ref() else { return };
    watch.frames.send_if_modified(|frame| {
        let news = frame.map.as_ref().as_ref().is_none_or(|old| old.offsets() != new.offsets());
        if news {
            *frame = Arc::new(frame.next(map.clone()));
        }
        news
    });
}

#[cfg(test)]
mod tests {
    use super::super::seat_map::tests::{seat, section};
    use super::*;
    use crate::domain::section::SeatStatus;

    fn map(offsets: [u64; 2]) -> Arc<Option<SeatMap>> {
        let seats = [
            seat("A", 1, SeatStatus::Available, (3, offsets[0])),
            seat("B", 1, SeatStatus::Available, (5, offsets[1])),
        ];
        let id = seats[0].schedule_id;
        Arc::new(Some(SeatMap::new(id, &seats, &[section("A", 1, 1), section("B", 1, 1)])))
    }

    fn text(event: Option<Bytes>) -> String {
        event.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).unwrap_or_default()
    }

    #[test]
    fn streams_at_the_same_moment_share_one_event_and_others_get_their_own() {
        let first = Frame::first(map([1, 1]));
        let second = first.next(map([2, 1]));
        let third = second.next(map([2, 2]));
        let seen = |text: &str| text.parse::<Offsets>().unwrap();
        let shared = third.event_since(&seen("3:2,5:1")).unwrap();
        assert!(text(Some(shared.clone())).contains("B-1") && !text(Some(shared.clone())).contains("A-1"));
        assert_eq!(third.event_since(&seen("3:2,5:1")).unwrap().as_ptr(), shared.as_ptr(), "made once");
        let lagged = text(third.event_since(&seen("3:1,5:1")));
        assert!(lagged.contains("A-1") && lagged.contains("B-1"), "a lagging stream misses nothing");
        let resumed = text(third.event_since(&seen("3:1,5:2")));
        assert!(resumed.contains("A-1") && !resumed.contains("B-1"));
        assert_eq!(third.event_since(&seen("3:2,5:2")), None);
        assert_eq!(third.event_since(&seen("3:9,5:9")), None, "a stream is never set back");
    }

    #[test]
    fn what_frames_remember_is_bounded() {
        let mut frame = Frame::first(map([0, 0]));
        for offset in 1..100 {
            frame = frame.next(map([offset, 0]));
        }
        assert_eq!(frame.history.len(), HISTORY);
    }
}

//! Watches the seats of dates that somebody streams: one task a date, however many streams there are.
//!
//! The feed of outcomes says which date changed. While nothing changes nothing is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::live_date::READ_ANYWAY;
use super::seat_map::{Form, SeatMap, Since};
use super::snapshot_cache::AGE_MAX;
use super::snapshots::Snapshots;
use crate::domain::ScheduleId;
use crate::telemetry::metrics;

/// How often a watch checks that the feed still runs.
const LOOK: Duration = Duration::from_secs(1);
/// Earlier moments from which a stream can be brought up to date with an event made once for all of them.
const HISTORY: usize = 16;

/// What watching uses.
#[derive(Clone)]
pub struct Sources {
    pub snapshots: Arc<Snapshots>,
    /// True while the feed brings outcomes.
    pub feed_running: watch::Receiver<bool>,
    pub shutdown: CancellationToken,
}

/// All watched dates. Clones share them.
#[derive(Clone)]
pub struct SeatWatches {
    sources: Sources,
    watches: Arc<Mutex<Watches>>,
    streams: Arc<Semaphore>,
}

/// A stream's place.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Permit {
    pub(in crate::api) fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::SEAT_STREAMS.with_label_values::<&str>(&[]).inc();
        Permit { _permit: permit }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        metrics::SEAT_STREAMS.with_label_values::<&str>(&[]).dec();
    }
}

type Watches = HashMap<ScheduleId, Arc<Watch>>;

/// One date that somebody streams.
struct Watch {
    changed: Notify,
    frames: watch::Sender<Arc<Frame>>,
}

/// The latest seats. Streams that lag skip frames, so a slow client costs no memory.
pub struct Frame {
    pub map: Arc<SeatMap>,
    /// Versions of the frames before, newest first, each with the event that leads from there to here, in each form.
    history: VecDeque<(u64, [OnceLock<Option<Bytes>>; 2])>,
}

impl Frame {
    pub(in crate::api) fn first(map: Arc<SeatMap>) -> Self {
        Frame { map, history: VecDeque::new() }
    }

    pub(in crate::api) fn next(&self, map: Arc<SeatMap>) -> Self {
        let versions = self.history.iter().map(|(version, _)| *version);
        let history = [self.map.version()].into_iter().chain(versions).map(|version| (version, Default::default()));
        Frame { map, history: history.take(HISTORY).collect() }
    }

    /// The event for a stream that has seen everything up to this version; `None` if there is nothing new for it.
    pub fn event_since(&self, seen: u64, form: Form) -> Option<Bytes> {
        let event = || self.map.changes_event(Since::Version(seen), form);
        if self.map.version() <= seen {
            return None;
        }
        match self.history.iter().find(|(version, _)| *version == seen) {
            Some((_, events)) => events[form as usize].get_or_init(event).clone(),
            None => event(),
        }
    }
}

impl SeatWatches {
    pub fn new(sources: Sources, streams_max: usize) -> Self {
        SeatWatches { sources, watches: Arc::default(), streams: Arc::new(Semaphore::new(streams_max)) }
    }

    /// A place for one more stream, if there is one.
    pub fn permit(&self) -> Option<Permit> {
        self.streams.clone().try_acquire_owned().ok().map(Permit::new)
    }

    /// The frames of a date from now on; `map` begins them if nobody watches the date yet.
    pub fn subscribe(&self, id: ScheduleId, map: Arc<SeatMap>) -> watch::Receiver<Arc<Frame>> {
        let mut watches = lock(&self.watches);
        if let Some(watch) = watches.get(&id) {
            return watch.frames.subscribe();
        }
        let (frames, receiver) = watch::channel(Arc::new(Frame::first(map)));
        let watch = Arc::new(Watch { changed: Notify::new(), frames });
        // The map may be a little older than this watch.
        watch.changed.notify_one();
        watches.insert(id, watch.clone());
        tokio::spawn(follow(self.sources.clone(), Arc::downgrade(&self.watches), id, watch));
        receiver
    }

    /// Seats of this date have changed.
    pub fn seats_changed(&self, id: ScheduleId) {
        if let Some(watch) = lock(&self.watches).get(&id) {
            watch.changed.notify_one();
        }
    }

    /// Outcomes may have been missed before now.
    pub fn outcomes_missed(&self) {
        lock(&self.watches).values().for_each(|watch| watch.changed.notify_one());
    }
}

fn lock(watches: &Mutex<Watches>) -> MutexGuard<'_, Watches> {
    watches.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a watch that nobody needs; false if a stream has come meanwhile.
fn retire(watches: &Weak<Mutex<Watches>>, id: ScheduleId, watch: &Watch) -> bool {
    let Some(watches) = watches.upgrade() else { return true };
    let mut watches = lock(&watches);
    let unneeded = watch.frames.receiver_count() == 0;
    if unneeded {
        watches.remove(&id);
    }
    unneeded
}

/// Looks at one date whenever it changed, at most every [`AGE_MAX`], until nobody streams it.
async fn follow(sources: Sources, watches: Weak<Mutex<Watches>>, id: ScheduleId, watch: Arc<Watch>) {
    let mut read_at = Instant::now();
    loop {
        tokio::select! {
            () = sources.shutdown.cancelled() => return,
            () = watch.frames.closed() => {
                if retire(&watches, id, &watch) {
                    return;
                }
                continue;
            }
            () = watch.changed.notified() => {}
            () = tokio::time::sleep(LOOK) => {
                if *sources.feed_running.borrow() && read_at.elapsed() < READ_ANYWAY {
                    continue;
                }
            }
        }
        read_at = Instant::now();
        match sources.snapshots.seats(id, Duration::ZERO).await {
            Ok(map) => map.into_iter().for_each(|map| publish(&watch, map)),
            Err(error) => {
                tracing::debug!(schedule = %id, %error, "seats could not be read for their streams");
                watch.changed.notify_one();
                read_at += LOOK;
            }
        }
        tokio::select! {
            () = sources.shutdown.cancelled() => return,
            () = tokio::time::sleep_until(read_at + AGE_MAX) => {}
        }
    }
}

fn publish(watch: &Watch, map: Arc<SeatMap>) {
    watch.frames.send_if_modified(|frame| {
        let news = frame.map.version() < map.version();
        if news {
            *frame = Arc::new(frame.next(map));
        }
        news
    });
}

#[cfg(test)]
mod tests {
    use super::super::seat_map::tests::{block, id};
    use super::super::seat_map::{SeatMap, Seats};
    use super::*;
    use crate::domain::block::SeatStatus::{self, Available, Held};

    /// A map after another: one seat of each of two blocks.
    fn map(statuses: [SeatStatus; 2], before: Option<&Seats>, version: u64) -> Seats {
        let one = block(3, &[("A", 1, 1)], &[("A-1", statuses[0], version)]);
        let two = block(5, &[("B", 1, 1)], &[("B-1", statuses[1], version)]);
        let mut seats = Seats::new(id(), &[one, two]);
        seats.succeed(before, version);
        seats
    }

    fn shown(seats: &Seats) -> Arc<SeatMap> {
        Arc::new(SeatMap::of(seats.clone()))
    }

    fn text(event: Option<Bytes>) -> String {
        event.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()).unwrap_or_default()
    }

    #[test]
    fn streams_at_the_same_moment_share_one_event_and_others_get_their_own() {
        let first = map([Available, Available], None, 4);
        let second = map([Held, Available], Some(&first), 6);
        let third = map([Held, Held], Some(&second), 9);
        let frame = Frame::first(shown(&first)).next(shown(&second)).next(shown(&third));
        let shared = frame.event_since(6, Form::Readable).unwrap();
        assert!(text(Some(shared.clone())).contains("B-1") && !text(Some(shared.clone())).contains("A-1"));
        assert_eq!(frame.event_since(6, Form::Readable).unwrap().as_ptr(), shared.as_ptr(), "made once");
        let lagged = text(frame.event_since(4, Form::Readable));
        assert!(lagged.contains("A-1") && lagged.contains("B-1"), "a lagging stream misses nothing");
        let between = text(frame.event_since(8, Form::Readable));
        assert!(!between.contains("A-1") && between.contains("B-1"));
        for version in [9, 10] {
            assert_eq!(frame.event_since(version, Form::Readable), None, "a stream is never set back");
        }
    }

    #[test]
    fn what_frames_remember_is_bounded() {
        let mut frame = Frame::first(shown(&map([Held, Held], None, 1)));
        for version in 2..100 {
            let status = if version % 2 == 0 { Available } else { Held };
            frame = frame.next(shown(&map([status, Held], None, version)));
        }
        assert_eq!(frame.history.len(), HISTORY);
    }
}

//! Watches the seats of dates that somebody streams: one reader a date, however many streams there are.
//!
//! The feed of outcomes says which date changed; the store says how. While nothing changes nothing is read.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::seat_map::{Form, SeatMap};
use super::seat_offsets::Offsets;
use super::snapshot_cache::AGE_MAX;
use super::snapshots::Snapshots;
use crate::domain::ScheduleId;
use crate::telemetry::metrics;

/// How often a watch checks that the feed still runs.
const LOOK: Duration = Duration::from_secs(1);
/// A date is read this often even if the feed reports no change; without the feed every [`LOOK`].
const READ_ANYWAY: Duration = Duration::from_secs(10);
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
    pub map: Arc<Option<SeatMap>>,
    /// Where the frames before were, newest first, each with the event that leads from there to here, in each form.
    history: VecDeque<(Offsets, [OnceLock<Option<Bytes>>; 2])>,
}

impl Frame {
    pub(in crate::api) fn first(map: Arc<Option<SeatMap>>) -> Self {
        Frame { map, history: VecDeque::new() }
    }

    pub(in crate::api) fn next(&self, map: Arc<Option<SeatMap>>) -> Self {
        let own = self.map.as_ref().as_ref().map(|map| (map.offsets().clone(), Default::default()));
        let before = self.history.iter().map(|(offsets, _)| (offsets.clone(), Default::default()));
        Frame { map, history: own.into_iter().chain(before).take(HISTORY).collect() }
    }

    /// The event for a stream that has seen everything up to these offsets; `None` if there is nothing new for it.
    pub fn event_since(&self, seen: &Offsets, form: Form) -> Option<Bytes> {
        let map = self.map.as_ref().as_ref()?;
        match self.history.iter().find(|(offsets, _)| offsets == seen) {
            Some((_, events)) => events[form as usize].get_or_init(|| map.changes_event(seen, form)).clone(),
            None => map.changes_event(seen, form),
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
    pub fn subscribe(&self, id: ScheduleId, map: Arc<Option<SeatMap>>) -> watch::Receiver<Arc<Frame>> {
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

/// Reads one date whenever it changed, at most every [`AGE_MAX`], until nobody streams it.
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
            Ok(map) => publish(&watch, map),
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
    use super::super::seat_map::tests::{block, id};
    use super::*;
    use crate::domain::block::SeatStatus;

    fn map(offsets: [u64; 2]) -> Arc<Option<SeatMap>> {
        let one = block(3, &[("A", 1, 1)], &[("A-1", SeatStatus::Available, offsets[0])]);
        let two = block(5, &[("B", 1, 1)], &[("B-1", SeatStatus::Available, offsets[1])]);
        Arc::new(Some(SeatMap::new(id(), &[one, two])))
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
        let shared = third.event_since(&seen("3:2,5:1"), Form::Readable).unwrap();
        assert!(text(Some(shared.clone())).contains("B-1") && !text(Some(shared.clone())).contains("A-1"));
        assert_eq!(third.event_since(&seen("3:2,5:1"), Form::Readable).unwrap().as_ptr(), shared.as_ptr(), "made once");
        let lagged = text(third.event_since(&seen("3:1,5:1"), Form::Readable));
        assert!(lagged.contains("A-1") && lagged.contains("B-1"), "a lagging stream misses nothing");
        let resumed = text(third.event_since(&seen("3:1,5:2"), Form::Readable));
        assert!(resumed.contains("A-1") && !resumed.contains("B-1"));
        assert_eq!(third.event_since(&seen("3:2,5:2"), Form::Readable), None);
        assert_eq!(third.event_since(&seen("3:9,5:9"), Form::Readable), None, "a stream is never set back");
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

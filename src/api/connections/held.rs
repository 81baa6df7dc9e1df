//! How many bytes the responses hold that clients have not taken yet.
//!
//! A seat map of a large date is megabytes, shared by all who read it at the same moment; but a client that reads slowly
//! keeps its moment, and a thousand of them a thousand maps. What they hold together is bounded, and who is slowest
//! goes first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::gate::Place;
use crate::telemetry::metrics;

/// Smaller pieces are not counted: the number of connections bounds them.
const COUNTED_MIN: usize = 8 * 1024;
/// Whoever began less than this ago has not shown their pace.
const BEGINNING: Duration = Duration::from_secs(1);

/// Buffers being sent, each counted once however many connections share it.
pub struct Held {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: usize,
    buffers: HashMap<Buffer, usize>,
    holders: HashMap<u64, Holder>,
}

/// Address and length.
type Buffer = (usize, usize);

/// A connection with buffers that it has not sent.
struct Holder {
    place: Arc<Place>,
    taken: Arc<Taken>,
    /// When it got the first of them, and what it had taken by then.
    since: Instant,
    taken_before: u64,
    buffers: Vec<Buffer>,
}

/// Bytes that a connection's socket has taken so far.
#[derive(Debug, Default)]
pub struct Taken(AtomicU64);

impl Taken {
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Holder {
    /// Bytes per second since it began; beginners come last.
    fn pace(&self) -> (bool, u64) {
        let elapsed = self.since.elapsed();
        let bytes = self.taken.get().saturating_sub(self.taken_before);
        (elapsed < BEGINNING, (bytes as f64 / elapsed.as_secs_f64().max(0.001)) as u64)
    }
}

impl State {
    fn add(&mut self, id: u64, buffer: Buffer) {
        let count = self.buffers.entry(buffer).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.bytes += buffer.1;
        }
        if let Some(holder) = self.holders.get_mut(&id) {
            holder.buffers.push(buffer);
        }
    }

    fn subtract(&mut self, buffer: Buffer) {
        let Some(count) = self.buffers.get_mut(&buffer) else { return };
        *count -= 1;
        if *count == 0 {
            self.buffers.remove(&buffer);
            self.bytes -= buffer.1;
        }
    }

    /// The buffer was sent, or its connection has ended.
    fn release(&mut self, id: u64, buffer: Buffer) {
        let Some(holder) = self.holders.get_mut(&id) else { return };
        let Some(at) = holder.buffers.iter().position(|held| *held == buffer) else { return };
        holder.buffers.swap_remove(at);
        if holder.buffers.is_empty() {
            self.holders.remove(&id);
        }
        self.subtract(buffer);
    }

    fn end_slowest(&mut self) -> bool {
        let slowest = self.holders.iter().min_by_key(|(_, holder)| holder.pace()).map(|(id, _)| *id);
        let Some(holder) = slowest.and_then(|id| self.holders.remove(&id)) else { return false };
        holder.place.cut();
        metrics::HTTP_CONNECTIONS_ENDED.with_label_values(&["held_bytes"]).inc();
        holder.buffers.into_iter().for_each(|buffer| self.subtract(buffer));
        true
    }
}

impl Held {
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Held { bytes_max, state: Mutex::default() })
    }

    /// The same bytes, counted until they are dropped. If that is too much, the slowest connections are ended, which may
    /// be this one.
    pub fn hold(self: &Arc<Self>, place: &Arc<Place>, taken: &Arc<Taken>, bytes: Bytes) -> Bytes {
        if bytes.len() < COUNTED_MIN {
            return bytes;
        }
        let (id, buffer) = (place.id, (bytes.as_ptr() as usize, bytes.len()));
        let mut state = self.lock();
        state.holders.entry(id).or_insert_with(|| Holder {
            place: place.clone(),
            taken: taken.clone(),
            since: Instant::now(),
            taken_before: taken.get(),
            buffers: Vec::new(),
        });
        state.add(id, buffer);
        while state.bytes > self.bytes_max && state.end_slowest() {}
        metrics::HTTP_HELD_BYTES.set(state.bytes as i64);
        Bytes::from_owner(Ticket { bytes, held: self.clone(), id, buffer })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes on their way to one connection.
struct Ticket {
    bytes: Bytes,
    held: Arc<Held>,
    id: u64,
    buffer: Buffer,
}

impl AsRef<[u8]> for Ticket {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.held.lock();
        state.release(self.id, self.buffer);
        metrics::HTTP_HELD_BYTES.set(state.bytes as i64);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::api::connections::gate::Gate;

    const MAP: usize = 100_000;

    fn map() -> Bytes {
        Bytes::from(vec![b' '; MAP])
    }

    async fn connection(gate: &Arc<Gate>) -> (Arc<Place>, Arc<Taken>) {
        (gate.enter().await, Arc::default())
    }

    fn is_ended(place: &Place) -> bool {
        place.ended().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_buffer_counts_once_and_as_long_as_somebody_sends_it() {
        let (gate, held) = (Gate::new(100, 0), Held::new(2 * MAP));
        let shared = map();
        let mut sending = Vec::new();
        for _ in 0..100 {
            let (place, taken) = connection(&gate).await;
            sending.push((held.hold(&place, &taken, shared.clone()), place));
        }
        assert_eq!(held.lock().bytes, MAP);
        assert!(sending.iter().all(|(_, place)| !is_ended(place)));
        let small = held.hold(&sending[0].1, &Arc::default(), Bytes::from_static(b"{}"));
        assert_eq!((held.lock().bytes, small.len()), (MAP, 2));
        sending.truncate(1);
        assert_eq!(held.lock().bytes, MAP);
        sending.clear();
        let state = held.lock();
        assert_eq!((state.bytes, state.holders.len(), state.buffers.len()), (0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn above_the_bound_the_slowest_goes_first() {
        let (gate, held) = (Gate::new(100, 0), Held::new(3 * MAP));
        let mut connections = Vec::new();
        for pace in [5_000, 10, 8_000] {
            let (place, taken) = connection(&gate).await;
            taken.add(1_000_000); // by earlier responses, which count for nothing
            let bytes = held.hold(&place, &taken, map());
            taken.add(10 * pace);
            connections.push((place, taken, bytes));
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        let (newest, taken) = connection(&gate).await;
        let _newest = held.hold(&newest, &taken, map());
        let ended: Vec<bool> = connections.iter().map(|(place, ..)| is_ended(place)).collect();
        assert_eq!((ended, is_ended(&newest)), (vec![false, true, false], false), "a beginner has not shown its pace");
        assert_eq!(held.lock().bytes, 3 * MAP);
        connections.clear();
        assert_eq!(held.lock().bytes, MAP, "what was ended is not subtracted twice");
    }
}

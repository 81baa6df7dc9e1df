//! Which connection gets a place, and which gives way when there is none.
//!
//! A connection that waits for a request is worth less than a new one, so with all places taken the one that has waited
//! longest is closed. If all are at work, a few more are accepted on places that are kept back for operators.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::telemetry::metrics;

/// A connection that has never sent a request gives way after this long.
const NEW_FOR: Duration = Duration::from_secs(1);
/// One that has sent some gives way after this long without another: closing it may cross with a request on its way.
const IDLE_FOR: Duration = Duration::from_secs(5);
/// One on a place kept back gives way to the next after this long: a probe's request comes with its handshake.
const KEPT_BACK_FOR: Duration = Duration::from_millis(50);

/// The places of one listener.
pub struct Gate {
    places: usize,
    kept_back: usize,
    state: Mutex<State>,
    /// Somebody has left.
    left: Notify,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// Connections by id; those that had to give way are not among them any more.
    taken: HashMap<u64, Taken>,
    /// How many of them are on places kept back.
    kept_back: usize,
    /// Since when, and which; one set for each [`Wait`].
    waiting: [BTreeSet<(Instant, u64)>; 3],
}

struct Taken {
    kept_back: bool,
    /// Waiting for a request since; `None`: at work.
    waiting: Option<(Wait, Instant)>,
    ended: Arc<Notify>,
}

/// What a waiting connection has done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    New,
    Idle,
    KeptBack,
}

impl Wait {
    fn gives_way_after(self) -> Duration {
        match self {
            Wait::New => NEW_FOR,
            Wait::Idle => IDLE_FOR,
            Wait::KeptBack => KEPT_BACK_FOR,
        }
    }
}

impl State {
    fn wait(&mut self, id: u64, wait: Wait) {
        let now = Instant::now();
        if let Some(taken) = self.taken.get_mut(&id) {
            taken.waiting = Some((wait, now));
            self.waiting[wait as usize].insert((now, id));
        }
    }

    /// The connection is at work; false if it had to give way.
    fn work(&mut self, id: u64) -> bool {
        let Some(taken) = self.taken.get_mut(&id) else { return false };
        if let Some((wait, since)) = taken.waiting.take() {
            self.waiting[wait as usize].remove(&(since, id));
        }
        true
    }

    /// False if it had to give way before.
    fn remove(&mut self, id: u64) -> bool {
        self.work(id);
        let Some(taken) = self.taken.remove(&id) else { return false };
        self.kept_back -= usize::from(taken.kept_back);
        true
    }

    /// Ends the longest waiting connection of this kind, if it has waited long enough. `Err`: when it will have.
    fn make_room(&mut self, wait: Wait) -> Result<(), Option<Instant>> {
        let Some((since, id)) = self.waiting[wait as usize].first().copied() else { return Err(None) };
        let until = since + wait.gives_way_after();
        if until > Instant::now() {
            return Err(Some(until));
        }
        if let Some(taken) = self.taken.get(&id) {
            taken.ended.notify_one();
        }
        self.remove(id);
        metrics::HTTP_CONNECTIONS_ENDED.with_label_values(&["gave_way"]).inc();
        Ok(())
    }

    fn regular(&self) -> usize {
        self.taken.len() - self.kept_back
    }

    fn seat(&mut self, kept_back: bool) -> (u64, Arc<Notify>) {
        let (id, ended) = (self.next_id, Arc::new(Notify::new()));
        self.next_id += 1;
        self.kept_back += usize::from(kept_back);
        self.taken.insert(id, Taken { kept_back, waiting: None, ended: ended.clone() });
        self.wait(id, if kept_back { Wait::KeptBack } else { Wait::New });
        (id, ended)
    }
}

impl Gate {
    /// `kept_back`: places beyond `places` that serve operators only.
    pub fn new(places: usize, kept_back: usize) -> Arc<Self> {
        Arc::new(Gate { places, kept_back, state: Mutex::default(), left: Notify::new() })
    }

    /// A place for one more connection; waits while all are at work.
    pub async fn enter(self: &Arc<Self>) -> Arc<Place> {
        loop {
            let again = match self.try_enter() {
                Ok(place) => return place,
                Err(again) => again,
            };
            tokio::select! {
                () = self.left.notified() => {}
                () = async { match again { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
            }
        }
    }

    /// `Err`: when to try again unless somebody leaves before.
    fn try_enter(self: &Arc<Self>) -> Result<Arc<Place>, Option<Instant>> {
        let mut state = self.lock();
        let mut again = None;
        let mut room = |state: &mut State, wait| match state.make_room(wait) {
            Ok(()) => true,
            Err(at) => {
                again = [again, at].into_iter().flatten().min();
                false
            }
        };
        let kept_back = if state.regular() < self.places || room(&mut state, Wait::New) || room(&mut state, Wait::Idle)
        {
            false
        } else if state.kept_back < self.kept_back || room(&mut state, Wait::KeptBack) {
            true
        } else {
            return Err(again);
        };
        let (id, ended) = state.seat(kept_back);
        metrics::HTTP_CONNECTIONS.inc();
        let [waiting, written, cut] = [true, false, false].map(AtomicBool::new);
        Ok(Arc::new(Place { gate: self.clone(), id, kept_back, waiting, written, cut, ended }))
    }

    /// No descriptors are left: the longest waiting connection gives way now.
    pub fn make_room(&self) {
        let mut state = self.lock();
        let _ = state.make_room(Wait::New).or_else(|_| state.make_room(Wait::Idle));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place, from the moment it is accepted until its socket is closed.
pub struct Place {
    gate: Arc<Gate>,
    pub id: u64,
    /// It serves operators only, and one request.
    pub kept_back: bool,
    waiting: AtomicBool,
    /// The response has been given away whole, and may still be on its way to the socket.
    written: AtomicBool,
    cut: AtomicBool,
    ended: Arc<Notify>,
}

impl Place {
    /// Whether the connection waits for a request.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A request has come; false if the connection had to give way and must not begin it.
    pub fn begin(&self) -> bool {
        self.waiting.store(false, Ordering::Relaxed);
        self.gate.lock().work(self.id)
    }

    /// The last bytes of the response were given away.
    pub fn response_ended(&self) {
        self.written.store(true, Ordering::Relaxed);
    }

    /// The socket has taken everything that was written. If that was a whole response, the next request is waited for.
    pub fn flushed(&self) {
        if self.written.swap(false, Ordering::Relaxed) {
            self.waiting.store(true, Ordering::Relaxed);
            self.gate.lock().wait(self.id, if self.kept_back { Wait::KeptBack } else { Wait::Idle });
        }
    }

    /// Waits until the connection must be closed.
    pub async fn ended(&self) {
        self.ended.notified().await
    }

    /// Closes the connection, without sending what its client has not taken.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.ended.notify_one();
    }

    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::HTTP_CONNECTIONS.dec();
        if self.gate.lock().remove(self.id) {
            self.gate.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn at_work(gate: &Arc<Gate>) -> Arc<Place> {
        let place = gate.enter().await;
        assert!(place.begin());
        place
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_waiting_connection_gives_way_to_a_new_one() {
        let gate = Gate::new(2, 0);
        let first = gate.enter().await;
        tokio::time::advance(Duration::from_millis(10)).await;
        let second = gate.enter().await;
        let began = Instant::now();
        let third = gate.enter().await;
        assert_eq!(began.elapsed(), NEW_FOR - Duration::from_millis(10), "it had its second");
        assert!(first.ended().now_or_never().is_some() && second.ended().now_or_never().is_none());
        assert!(!first.begin(), "a request that comes too late is not begun");
        drop(first);
        assert_eq!(gate.lock().regular(), 2, "its place is the third's");
        drop((second, third));
        assert_eq!(gate.lock().regular(), 0);
        assert!(gate.lock().waiting.iter().all(BTreeSet::is_empty));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_at_work_is_left_alone_and_one_that_has_worked_gets_longer() {
        let gate = Gate::new(1, 0);
        let worker = at_work(&gate).await;
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(gate.enter().now_or_never().is_none(), "nobody gives way");
        worker.response_ended();
        assert!(!worker.is_waiting(), "the response may not be sent yet");
        worker.flushed();
        assert!(worker.is_waiting());
        let began = Instant::now();
        let _next = gate.enter().await;
        assert_eq!(began.elapsed(), IDLE_FOR);
        assert!(worker.ended().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn operators_find_a_place_when_all_others_are_at_work() {
        let gate = Gate::new(1, 2);
        let worker = at_work(&gate).await;
        assert!(!worker.kept_back);
        let probe = at_work(&gate).await;
        let silent = gate.enter().await;
        assert!(probe.kept_back && silent.kept_back);
        let began = Instant::now();
        let next = at_work(&gate).await;
        assert!(next.kept_back && began.elapsed() == KEPT_BACK_FOR);
        assert!(silent.ended().now_or_never().is_some() && probe.ended().now_or_never().is_none());
        assert!(gate.enter().now_or_never().is_none(), "all are at work");
        drop(probe);
        assert!(gate.enter().await.kept_back);
        drop(worker);
        assert!(!gate.enter().await.kept_back, "an ordinary place comes first");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_silent_connections_keeps_nobody_out() {
        let gate = Gate::new(8, 16);
        let began = Instant::now();
        let mut flood = std::collections::VecDeque::new();
        for _ in 0..400 {
            flood.push_back(gate.enter().await);
            // What has to give way is closed.
            flood.retain(|place: &Arc<Place>| place.ended().now_or_never().is_none());
        }
        let place = gate.enter().await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(place.begin());
    }
}

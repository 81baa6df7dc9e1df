//! The outcomes of one partition for all endpoints: the newest records are read once and kept in a bounded ring; an
//! endpoint that is further behind reads a piece of the log by itself, one endpoint at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, watch};
use tokio_util::sync::CancellationToken;

use crate::log::{Log, ReadError, Record, Topic};

/// Bounds of the ring, and of a piece.
const KEPT_RECORDS: usize = 2000;
const KEPT_BYTES: usize = 1024 * 1024;
const PIECE_RECORDS: usize = 256;
const PIECE_BYTES: usize = 256 * 1024;
/// A piece of the log that should be there comes within this time.
const PIECE_WITHIN: Duration = Duration::from_secs(10);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Ring {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// The first offset that the ring knows of, and the one after its last.
    first: u64,
    next: u64,
}

impl Ring {
    fn push(&mut self, record: Record) {
        self.next = record.offset + 1;
        self.bytes += record.size();
        self.records.push_back(Arc::new(record));
        while self.records.len() > KEPT_RECORDS || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= oldest.size();
            self.first = oldest.offset + 1;
        }
    }

    fn from(&self, offset: u64) -> Vec<Arc<Record>> {
        let start = self.records.partition_point(|record| record.offset < offset);
        self.records.range(start..).take(PIECE_RECORDS).cloned().collect()
    }
}

/// What comes next for an endpoint.
#[derive(Debug)]
pub enum Piece {
    /// At least one record, in order.
    Records(Vec<Arc<Record>>),
    /// The outcomes before this offset are gone.
    Gap { to: u64 },
}

/// See the module.
pub struct Feed {
    log: Arc<dyn Log>,
    pub partition: u32,
    ring: Mutex<Ring>,
    /// [`Ring::next`], once the ring follows the log.
    followed: watch::Sender<Option<u64>>,
    /// Who reads the log by itself.
    turn: Turn<()>,
}

impl Feed {
    pub fn new(log: Arc<dyn Log>, partition: u32) -> Self {
        let followed = watch::channel(None).0;
        Feed { log, partition, ring: Mutex::default(), followed, turn: Turn::new(()) }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the end of the partition until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut retry = RETRY_FIRST;
        loop {
            let error = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                error = self.read_on(&mut retry) => error,
            };
            tracing::warn!(partition = self.partition, %error, "the outcomes for webhooks are interrupted");
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(retry) => retry = (retry * 2).min(RETRY_LAST),
            }
        }
    }

    /// Reads until the log fails.
    async fn read_on(&self, retry: &mut Duration) -> ReadError {
        let known = *self.followed.borrow();
        let opened = async {
            let start = match known {
                Some(next) => next,
                None => self.log.end_offset(Topic::Outcomes, self.partition).await?,
            };
            Ok((start, self.log.read(Topic::Outcomes, self.partition, start).await?))
        };
        let (start, mut reader) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return self.lost(error),
        };
        if known.is_none() {
            *self.ring() = Ring { first: start, next: start, ..Ring::default() };
            self.followed.send_replace(Some(start));
        }
        loop {
            match reader.next(PIECE_RECORDS, PIECE_BYTES).await {
                Ok(records) => {
                    *retry = RETRY_FIRST;
                    let mut ring = self.ring();
                    records.into_iter().for_each(|record| ring.push(record));
                    let next = ring.next;
                    drop(ring);
                    self.followed.send_replace(Some(next));
                }
                Err(error) => return self.lost(error),
            }
        }
    }

    /// Begins again at the end if its place is gone.
    fn lost(&self, error: ReadError) -> ReadError {
        if let ReadError::OutOfRange { .. } = error {
            self.followed.send_replace(None);
        }
        error
    }

    /// Waits for what comes at this offset or later. Cancel-safe.
    pub async fn next(&self, offset: u64) -> Result<Piece, ReadError> {
        let mut followed = self.followed.subscribe();
        let reached = followed.wait_for(|next| next.is_some_and(|next| next > offset)).await;
        reached.map_err(|_| ReadError::Unavailable("the feed has ended".to_owned()))?;
        self.ready(offset).await
    }

    /// Whether [`Feed::next`] would not wait for the end of the log to grow.
    pub fn has(&self, offset: u64) -> bool {
        self.followed.borrow().is_some_and(|next| next > offset)
    }

    async fn ready(&self, offset: u64) -> Result<Piece, ReadError> {
        let kept = {
            let ring = self.ring();
            (offset >= ring.first).then(|| ring.from(offset))
        };
        if let Some(records) = kept.filter(|records| !records.is_empty()) {
            return Ok(Piece::Records(records));
        }
        let _turn = self.turn.lock().await;
        let read = tokio::time::timeout(PIECE_WITHIN, self.read_piece(offset)).await;
        read.unwrap_or_else(|_| Err(ReadError::Unavailable(format!("no record within {PIECE_WITHIN:?}"))))
    }

    async fn read_piece(&self, offset: u64) -> Result<Piece, ReadError> {
        let first = self.log.first_offset(Topic::Outcomes, self.partition).await?;
        if offset < first {
            return Ok(Piece::Gap { to: first });
        }
        let mut reader = self.log.read(Topic::Outcomes, self.partition, offset).await?;
        let records = reader.next(PIECE_RECORDS, PIECE_BYTES).await?;
        Ok(Piece::Records(records.into_iter().map(Arc::new).collect()))
    }
}

//! One notifier leads at a time. No clock is compared with another one: who wants to lead watches the leader's sign of
//! life, and replaces a leader whose sign has not changed for a while by its own clock. An old leader that wakes up again
//! is fenced by its epoch at its next write.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Lease, StoreError, Webhooks};

/// How this process stands.
pub struct Leadership {
    owner: String,
    takeover_after: Duration,
    state: State,
}

enum State {
    Watching {
        seen: Option<Lease>,
        since: Instant,
    },
    Leading {
        epoch: u64,
        /// The last sign of life that the store took.
        kept: Instant,
    },
}

/// A change.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// From now on it leads, under this epoch.
    Began(u64),
    /// It leads no longer.
    Ended,
}

impl Leadership {
    pub fn new(owner: String, takeover_after: Duration) -> Self {
        Leadership { owner, takeover_after, state: State::Watching { seen: None, since: Instant::now() } }
    }

    pub fn epoch(&self) -> Option<u64> {
        match self.state {
            State::Leading { epoch, .. } => Some(epoch),
            State::Watching { .. } => None,
        }
    }

    fn watch(&mut self, seen: Option<Lease>) {
        self.state = State::Watching { seen, since: Instant::now() };
    }

    /// One round; several in [`Leadership::takeover_after`].
    ///
    /// # Errors
    /// The store cannot be asked. A leader goes on leading for two thirds of the time after which it is replaced.
    pub async fn round(&mut self, store: &(impl Webhooks + ?Sized)) -> Result<Option<Turn>, StoreError> {
        match &self.state {
            State::Leading { epoch, kept } => {
                let (epoch, kept) = (*epoch, *kept);
                match store.keep_notifier_lease(epoch).await {
                    Ok(true) => {
                        self.state = State::Leading { epoch, kept: Instant::now() };
                        Ok(None)
                    }
                    Ok(false) => {
                        self.watch(None);
                        Ok(Some(Turn::Ended))
                    }
                    Err(error) if kept.elapsed() < self.takeover_after * 2 / 3 => Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "the notifier no longer leads: the store does not answer");
                        self.watch(None);
                        Ok(Some(Turn::Ended))
                    }
                }
            }
            State::Watching { seen, since } => {
                let now = store.notifier_lease().await?;
                let free = now.as_ref().is_none_or(|lease| lease.owner.is_empty());
                let stale = now == *seen && since.elapsed() >= self.takeover_after;
                if !free && !stale {
                    if now != *seen {
                        self.watch(now);
                    }
                    return Ok(None);
                }
                let taken = store.take_notifier_lease(&self.owner, now.as_ref()).await?;
                let Some(epoch) = taken else { return Ok(None) };
                self.state = State::Leading { epoch, kept: Instant::now() };
                Ok(Some(Turn::Began(epoch)))
            }
        }
    }

    /// Leaves, so that another one takes over at once.
    pub async fn leave(&mut self, store: &(impl Webhooks + ?Sized)) {
        if let Some(epoch) = self.epoch() {
            if let Err(error) = store.leave_notifier_lease(epoch).await {
                tracing::warn!(%error, "another notifier takes over only after a while");
            }
            self.watch(None);
        }
    }
}

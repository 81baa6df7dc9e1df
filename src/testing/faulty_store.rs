//! A store whose calls fail, come late or go unanswered as a hook says: outages, and commits nobody knows the end of.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::MemoryStore;
use super::layered_store::{Call, Layer, Layered};
use crate::store::{CommitBatch, CommitGroup, Committed, Store, StoreError};

/// What the hook wants to happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Nothing is done; the answer is [`StoreError::Unavailable`].
    Unavailable,
    /// Nothing is done; the answer is [`StoreError::TimedOut`].
    TimedOut,
    /// Nothing is done; the answer is [`StoreError::Failed`].
    Failed,
    /// Nothing is done; the answer is [`StoreError::Unknown`].
    Lost,
    /// It is done; the answer is [`StoreError::Unknown`] nevertheless.
    Unanswered,
    /// It is done; the answer comes this much later.
    Slow(Duration),
    /// The answer is [`StoreError::Unknown`]; a commit is done this much later, whatever has happened meanwhile. Other
    /// calls are not done.
    Late(Duration),
}

/// Called before each call; may take its time.
pub type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, Fault> + Send + Sync>;

/// Called for each batch of a commit that the other hook lets pass.
pub type BatchHook = Arc<dyn Fn(&CommitBatch) -> Fault + Send + Sync>;

/// See the module. Clones share the store underneath and the hook.
pub type FaultyStore = Layered<Faults>;

#[derive(Clone)]
pub struct Faults {
    store: Arc<dyn Store>,
    hook: Arc<Mutex<Option<Hook>>>,
    batches: Arc<Mutex<Option<BatchHook>>>,
}

impl FaultyStore {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Layered(Faults { store, hook: Arc::default(), batches: Arc::default() })
    }

    pub fn in_memory() -> Self {
        FaultyStore::new(Arc::new(MemoryStore::new()))
    }

    /// From now on each call asks this hook first; `None` takes it away.
    pub fn set_hook(&self, hook: Option<Hook>) {
        *self.0.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// From now on each commit's batch is shown to this hook first; `None` takes it away.
    pub fn set_batch_hook(&self, hook: Option<BatchHook>) {
        *self.0.batches.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }
}

fn unknown<T>() -> Result<T, StoreError> {
    Err(StoreError::Unknown("as the hook wants it".into()))
}

impl Faults {
    async fn fault(&self, call: Call) -> Fault {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match hook {
            Some(hook) => hook(call).await,
            None => Fault::None,
        }
    }

    /// What happens to one batch of a group happens to the group.
    async fn fault_of(&self, group: &CommitGroup) -> Fault {
        let fault = self.fault(Call::of(group)).await;
        let hook = self.batches.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (fault, hook) {
            (Fault::None, Some(hook)) => {
                group.batches.iter().map(|batch| hook(batch)).find(|fault| *fault != Fault::None).unwrap_or(fault)
            }
            (fault, _) => fault,
        }
    }
}

async fn suffer<T>(fault: Fault, answer: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
    match fault {
        Fault::None => answer.await,
        Fault::Unavailable => Err(StoreError::Unavailable("as the hook wants it".into())),
        Fault::TimedOut => Err(StoreError::TimedOut("as the hook wants it".into())),
        Fault::Failed => Err(StoreError::Failed("as the hook wants it".into())),
        Fault::Lost | Fault::Late(_) => unknown(),
        Fault::Slow(by) => {
            let answer = answer.await;
            tokio::time::sleep(by).await;
            answer
        }
        Fault::Unanswered => {
            answer.await?;
            unknown()
        }
    }
}

#[async_trait]
impl Layer for Faults {
    fn below(&self) -> &dyn Store {
        &*self.store
    }

    async fn pass<'a, T: Send>(
        &'a self,
        call: Call,
        answer: BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        suffer(self.fault(call).await, answer).await
    }

    async fn commit_group(&self, group: &CommitGroup) -> Result<Vec<Committed>, StoreError> {
        match self.fault_of(group).await {
            Fault::Late(by) => {
                let (store, group) = (Arc::clone(&self.store), group.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    store.commit_group(&group).await
                });
                unknown()
            }
            fault => suffer(fault, self.store.commit_group(group)).await,
        }
    }
}

//! Faults planted in the product on purpose, one at a time, so that the simulator can show that it finds them. They are
//! there in builds with the feature `planted-faults` only; in every other build [`planted`] is false at compile time.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One way to be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)+
        }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)+];
        }
    };
}

faults! {
    /// The store takes a commit from anybody.
    NoFence,
    /// An owner that was fenced goes on as if it had committed.
    FencedIsDone,
    /// A commit nobody knows the end of counts as done.
    UnknownIsDone,
    /// A commit nobody knows the end of is made once more on top of whatever is there.
    UnknownIsRepeated,
    /// The consumed offset is committed before the rest.
    OffsetFirst,
    /// Repeats are not recognised at all.
    NoDedup,
    /// Repeats are recognised only while the first is in memory.
    DedupInMemoryOnly,
    /// A partition's memory outlives a commit that failed.
    MemoryKept,
    /// Aggregates leave memory before what they have is committed.
    EvictedUncommitted,
    /// A hold that has run out keeps its seats until a timer says so.
    HoldWaitsForTimer,
    /// A hold that has run out can be paid.
    PayIgnoresExpiry,
    /// Time is the owner's clock, not the record's.
    WallClock,
    /// Whether a hold has run out is judged by the owner's clock when a timer looks.
    ExpiryByWallClock,
    /// Log time may run back.
    TimeRunsBack,
    /// A stray on the right lane is applied where it lies.
    StrayApplied,
    /// A stray is dropped.
    StrayDropped,
    /// What cannot be understood is dropped.
    DeadLetterDropped,
    /// What one lane asks of another is asked twice, under two ids.
    FollowUpTwice,
    /// A settlement does not complete the request it decides.
    CompletionForgotten,
    /// Outcomes are published before their commit.
    PublishedBeforeCommit,
    /// Outbox rows are deleted before the log has them.
    DeletedEarly,
    /// An append that failed counts as done.
    FailedAppendIsDone,
    /// Rows of a batch are published in the wrong order.
    Reordered,
    /// A new owner does not publish what the one before it left.
    LeftoversForgotten,
    /// A refund gets a new id each time it is published.
    RefundWithoutKey,
    /// 202 before the log has the command.
    AcceptedBeforeLog,
    /// A key's first outcome answers any body.
    KeyForAnyBody,
    /// The refusal of a reused key reaches the one who used it first.
    RefusalForEverybody,
    /// A queue lets in one more than it may, and lets one more wait.
    QueueOverfilled,
    /// A new owner gives places of the queue again that have ended.
    PlaceReused,
    /// Who leaves the queue or is done gives their place to nobody.
    NextNotAdmitted,
    /// Whether a place is over or its holder gone is judged by the owner's clock.
    GoneByWallClock,
    /// A payment does not end the place in the queue.
    TokenNotCompleted,
    /// A waiting place lets to the seats as an active one does.
    TokenNotChecked,
    /// Somebody else's active place lets to the seats.
    TokenOfAnybody,
    /// Who left is still counted among those ahead.
    LeaversCounted,
    /// Nobody tells the rules who was seen.
    SeenNotReported,
}

/// Whether the product has this fault now.
#[cfg(not(feature = "planted-faults"))]
#[inline]
pub const fn planted(_fault: Fault) -> bool {
    false
}

#[cfg(feature = "planted-faults")]
mod switch {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::Fault;

    thread_local! {
        // A simulation runs on one thread, so others may have other faults at the same time.
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
        static KEPT: RefCell<BTreeMap<String, Box<dyn std::any::Any>>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Whether the product has this fault now.
    pub fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// From now on the product has this fault, on this thread.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
        KEPT.with_borrow_mut(BTreeMap::clear);
    }

    /// Keeps something that should have been dropped.
    pub fn keep(name: String, what: Box<dyn std::any::Any>) {
        KEPT.with_borrow_mut(|kept| kept.insert(name, what));
    }

    pub fn kept<T: 'static>(name: &str) -> Option<T> {
        KEPT.with_borrow_mut(|kept| kept.remove(name)).and_then(|kept| kept.downcast().ok()).map(|kept| *kept)
    }
}

#[cfg(feature = "planted-faults")]
pub use switch::{keep, kept, plant, planted};

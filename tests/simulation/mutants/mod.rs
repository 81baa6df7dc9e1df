//! Seeded bugs: what the simulation must find. A simulation that finds nothing is worth what it finds when something
//! is wrong.
//!
//! A bug that looks from outside like a store or a log that lies is a layer around the port ([`store`], [`log`]). Wrong
//! logic is a patch of the product, `NAME.patch` beside this file: `scripts/mutants` applies all of them to a copy of
//! the tree and runs the test here. The product itself knows of neither.

pub mod log;
pub mod store;
mod switch;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::number;
use crate::run::{self, Setup};

/// Seeds within which each must be found.
const SEEDS: u64 = 1_000;

macro_rules! mutants {
    (lies { $($(#[$lie_doc:meta])* $lie:ident,)+ } patches { $($(#[$doc:meta])* $patch:ident,)+ }) => {
        /// One way to be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$lie_doc])* $lie,)+
            $($(#[$doc])* $patch,)+
        }

        impl Mutant {
            /// Layers around a port.
            const LIES: &'static [Mutant] = &[$(Mutant::$lie,)+];
            /// Patches of the product.
            const PATCHES: &'static [Mutant] = &[$(Mutant::$patch,)+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Mutant::$lie => stringify!($lie),)+
                    $(Mutant::$patch => stringify!($patch),)+
                }
            }
        }
    };
}

mutants! {
    lies {
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
        /// Repeats are recognized only while the first is in memory.
        DedupInMemoryOnly,
        /// A partition's memory outlives a commit that was fenced.
        MemoryKept,
        /// Time is the owner's clock, not the record's.
        WallClock,
        /// Whether a hold has run out is judged by the owner's clock when a timer looks.
        ExpiryByWallClock,
        /// A misrouted record is dropped.
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
        /// Outcomes are published in the wrong order.
        Reordered,
        /// A new owner does not publish what the one before it left.
        LeftoversForgotten,
        /// A refund gets a new id each time it is published.
        RefundWithoutKey,
        /// 202 before the log has the command.
        AcceptedBeforeLog,
        /// A new owner gives places of the queue again that have ended.
        PlaceReused,
        /// Whether a place is over or its holder gone is judged by the owner's clock.
        GoneByWallClock,
        /// A payment does not end the place in the queue.
        TokenNotCompleted,
        /// Nobody reports to the rules who was seen.
        SeenNotReported,
    }
    patches {
        /// Repeats are not recognized at all.
        NoDedup,
        /// Aggregates leave memory before what they have is committed.
        EvictedUncommitted,
        /// A hold that has run out keeps its seats until a timer says so.
        HoldWaitsForTimer,
        /// A hold that has run out can be paid.
        PayIgnoresExpiry,
        /// Log time may run back.
        TimeRunsBack,
        /// A misrouted record on the right lane is applied where it lies.
        StrayApplied,
        /// A key's first outcome answers any body.
        KeyForAnyBody,
        /// The refusal of a reused key reaches the one who used it first.
        RefusalForEverybody,
        /// A queue admits one more than it may, and lets one more wait.
        QueueOverfilled,
        /// Who leaves the queue or is done gives their place to nobody.
        NextNotAdmitted,
        /// A waiting place admits to the seats as an active one does.
        TokenNotChecked,
        /// Somebody else's active place admits to the seats.
        TokenOfAnybody,
        /// Who left is still counted among those ahead.
        LeaversCounted,
    }
}

/// Switches a bug of a patched product on for this thread, or all of them off.
pub fn set(mutant: Option<Mutant>) {
    switch::set(mutant.map(Mutant::name));
}

/// The first seed that finds it, and what it found. A panic does not count: an invariant must notice.
fn find(mutant: Mutant) -> Option<(u64, String)> {
    let setup = Setup { mutant: Some(mutant), ..Setup::default() };
    (0..SEEDS).find_map(|seed| {
        let ran = run::run(seed, setup);
        let violation = ran.violation.filter(|_| !ran.panicked)?;
        Some((seed, violation.lines().next().unwrap_or_default().chars().take(150).collect()))
    })
}

/// Those of the ports in every tree, those of the product in a patched copy. `TURNSTILE_SIM_MUTANT` names one.
#[test]
fn every_mutant_is_found() {
    let wanted = std::env::var("TURNSTILE_SIM_MUTANT").ok();
    let patches = if switch::PATCHED { Mutant::PATCHES } else { &[] };
    let mutants = Mutant::LIES.iter().chain(patches).copied();
    let mutants: Vec<Mutant> = mutants.filter(|m| wanted.as_deref().is_none_or(|name| name == m.name())).collect();
    assert!(!mutants.is_empty(), "no such mutant in this tree: {wanted:?}");
    let (next, missed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..number("TURNSTILE_SIM_THREADS").unwrap_or(2) {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    match find(*mutant) {
                        Some((seed, what)) => println!("{mutant:?}: found after {} seeds: {what}", seed + 1),
                        None => missed.lock().expect("not poisoned").push(*mutant),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("not poisoned");
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
    println!("{} mutants found", mutants.len());
}

/// What is written down here is what `scripts/mutants` applies.
#[test]
fn every_patch_has_its_mutant() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/mutants");
    let files = std::fs::read_dir(here).expect("the directory of this file");
    let names = files.filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".patch")?.to_owned()));
    let expected: BTreeSet<String> = Mutant::PATCHES.iter().map(|mutant| mutant.name().to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

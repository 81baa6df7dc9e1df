//! Mutants: bugs that the simulation must find. A simulation that finds nothing proves as much as it finds when something
//! is wrong.
//!
//! A bug that looks from outside like a store or a log that lies is a layer around the port ([`store`], [`log`]). Wrong
//! logic is a patch of the product, `NAME.patch` beside this file: `scripts/mutants` applies all of them to a copy of the
//! tree and runs the test here. The product contains none of them.

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
        /// A seeded bug.
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
        /// A fenced owner continues as if it had committed.
        FencedIsDone,
        /// A commit with an unknown result counts as done.
        UnknownIsDone,
        /// A commit with an unknown result is repeated on top of the current progress.
        UnknownIsRepeated,
        /// The consumed offset is committed before the rest.
        OffsetFirst,
        /// A fenced batch takes the results of its group along.
        FencedTakesOthers,
        /// A group's results are told in the wrong order.
        ResultOfAnother,
        /// A commit with an unknown result counts as fenced.
        UnknownIsFenced,
        /// A batch is fenced, but its outbox rows and requests are written with the others'.
        FenceNotJoined,
        /// Outbox rows count as published with the next commit, acknowledged or not.
        PublishedEarly,
        /// Repeats are recognized only while the first is in memory.
        DedupInMemoryOnly,
        /// A partition's memory survives a fenced commit.
        MemoryKept,
        /// Time is the owner's clock, not the record's.
        WallClock,
        /// A timer's record judges holds by the owner's clock.
        ExpiryByWallClock,
        /// A misrouted record is dropped.
        StrayDropped,
        /// A record that cannot be understood is dropped.
        DeadLetterDropped,
        /// A follow-up is sent twice, under two ids.
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
        /// A new owner does not publish what its predecessor left in the outbox.
        LeftoversForgotten,
        /// A refund gets a new id each time it is published.
        RefundWithoutKey,
        /// 202 before the log has the command.
        AcceptedBeforeLog,
        /// A new owner issues sequence numbers of ended tokens again.
        PlaceReused,
        /// A tick judges turns by the owner's clock.
        GoneByWallClock,
        /// A payment does not complete the token.
        TokenNotCompleted,
        /// The reports of API servers name nobody.
        SeenNotReported,
        /// A new owner does not know which payments a wallet has answered.
        AnswerForgotten,
    }
    patches {
        /// Repeats are not recognized at all.
        NoDedup,
        /// Aggregates are evicted before their changes are committed.
        EvictedUncommitted,
        /// A hold that has run out keeps its seats until a timer's record ends it.
        HoldWaitsForTimer,
        /// A hold that has run out can be paid.
        PayIgnoresExpiry,
        /// Log time may run back.
        TimeRunsBack,
        /// A misrouted record on the right lane is decided where it lies.
        StrayApplied,
        /// A key's first outcome answers any body.
        KeyForAnyBody,
        /// The refusal of a reused key reaches the client that used it first.
        RefusalForEverybody,
        /// A queue admits one more than it may, and takes one more that waits.
        QueueOverfilled,
        /// A token that ends admits nobody.
        NextNotAdmitted,
        /// A waiting token passes as an active one.
        TokenNotChecked,
        /// Another user's active token passes.
        TokenOfAnybody,
        /// Tokens that ended are still counted as ahead.
        LeaversCounted,
        /// A block's row counts seats that were taken as free.
        CountsDrift,
        /// A companion seat is sold without its wheelchair place.
        CompanionSold,
        /// Holding the same seats again extends the hold.
        ReholdExtends,
        /// The cooldown after an unpaid hold is ignored.
        CooldownIgnored,
        /// The ticket limit does not hold for staff.
        StaffUnlimited,
        /// The best seats may leave a single one behind.
        SingleSeatLeft,
        /// The sweep of a cancelled show skips its first reservation.
        SweepSkips,
        /// A payment that arrives after the cancellation of the show sells its seats.
        PaidAfterCancel,
        /// A ticket is admitted twice.
        TicketTwice,
        /// The queue is not told that all seats are held.
        NoteForgotten,
        /// A client's request is mistaken for the program's own with the same id.
        IdClaimed,
        /// The presence clock runs on while nothing is reported.
        AbsentByOutage,
        /// A token that was absent comes back at the tail.
        AbsentLosesPlace,
        /// Users are admitted before the sale begins.
        AdmittedInLobby,
        /// An absent token that makes room is kept: more wait than may.
        AbsentNotCounted,
        /// A turn that nobody used is lost.
        UnusedTurnLost,
        /// The answer to a client has the effects on others.
        EffectsLeak,
        /// The last decided record is not compared with the log's.
        AnchorNotCompared,
        /// A request counts as seen for as long as it is stored.
        OldRowCounts,
        /// With a longer age, requests count as seen again that may have been deleted.
        FloorForgotten,
        /// Requests are deleted by their age on the clock, not by log time.
        AgeByWallTime,
        /// Requests are deleted while other partitions have to decide again.
        DeletedBeforeOthers,
        /// A wallet command is forwarded from the inbox.
        InboxForwardsWallets,
        /// What the inbox forwards may say that the queue was passed.
        InboxKeepsAdmitted,
        /// The outcome of a payment does not carry the fingerprint of its request.
        FingerprintLost,
        /// An operator's skip takes whatever record lies at its offset.
        SkippedElsewhere,
        /// A skipped command has no outcome.
        SkippedInSilence,
        /// A given time counts though the record before has a later one.
        GivenTimeRunsBack,
        /// A record ahead of the clock is decided at once.
        LogTimeUnbounded,
        /// A timer that is due appends a record each time somebody looks.
        TimerEachRound,
        /// A row that the log refuses for good is appended for ever.
        RefusedHoldsUp,
        /// A row that the log refuses for good is dropped.
        RefusedIsLost,
        /// A row is appended behind one whose failure is known.
        BehindAFailure,
    }
}

/// Switches one bug of a patched product on for this thread, or all off.
pub fn set(mutant: Option<Mutant>) {
    switch::set(mutant.map(Mutant::name));
}

/// The first seed that finds it, and the violation. A panic does not count: an invariant must find it.
fn find(mutant: Mutant) -> Option<(u64, String)> {
    let setup = Setup { mutant: Some(mutant), ..Setup::default() };
    (0..SEEDS).find_map(|seed| {
        let ran = run::run(seed, setup);
        let violation = ran.violation.filter(|_| !ran.panicked)?;
        Some((seed, violation.lines().next().unwrap_or_default().chars().take(150).collect()))
    })
}

/// Layers in every tree, patches in a patched copy. `TURNSTILE_SIM_MUTANT` names one.
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

/// `scripts/mutants` applies the patches that are declared here.
#[test]
fn every_patch_has_its_mutant() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/mutants");
    let files = std::fs::read_dir(here).expect("the directory of this file");
    let names = files.filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".patch")?.to_owned()));
    let expected: BTreeSet<String> = Mutant::PATCHES.iter().map(|mutant| mutant.name().to_owned()).collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), expected);
}

//! Which faults a run has and how much of each workload, drawn from its seed.

use crate::prng::Prng;

/// Probabilities are per thousand; weights are relative to each other. Most runs have few kinds of faults, so that they go
/// deep; a quarter has all of them.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    pub delay_ms_max: u64,
    pub append_lost: u64,
    pub append_unacknowledged: u64,
    pub append_twice: u64,
    pub append_backlog: u64,
    /// Outcomes that the log refuses, for good or for another record of their batch.
    pub append_refused: u64,
    /// Notes of the sale that are lost where the log does not keep the order.
    pub note_lost: u64,
    /// Transaction markers before a record.
    pub markers: u64,
    pub read_failed: u64,
    pub store_away: u64,
    pub commit_unanswered: u64,
    pub commit_late: u64,
    pub store_slow: u64,
    /// Reads whose answer is seconds old when it arrives.
    pub stale_reads: u64,
    /// A commit of more rows, and of more than one record, takes longer than a statement may; 0: none does.
    pub rows_max: usize,
    /// A lost append also fails the later ones of its partition until the loss is known, as an idempotent producer does.
    /// Only then is the order of first appearances promised.
    pub gapless: bool,
    /// Records on which a partition stands still: without a log time, with one a day ahead, or unreadable.
    pub bad_records: u64,
    pub skew_ms_max: u64,
    pub workers: u64,
    pub cache_rows: usize,
    pub relay_in_flight: usize,
    pub batch_records: usize,
    /// Mean time between two faults of the kinds below.
    pub fault_every_ms: u64,
    pub kills: u64,
    pub kills_at_call: u64,
    pub expiries: u64,
    pub storms: u64,
    pub outages: u64,
    pub jumps: u64,
    /// Some of these jumps are by hours.
    pub long_jumps: bool,
    pub api_crashes: u64,
    /// Commands of other services.
    pub foreign: u64,
    /// Commands of staff: holds for users, checked tickets, amendments.
    pub staff: u64,
    /// Changes of the queue's settings.
    pub operator: u64,
    /// Some date is cancelled while it is on sale.
    pub show_cancelled: bool,
    /// Sale windows and the start of the show lie within the run.
    pub windows: bool,
    /// After the sale a week passes, some commands come again, and the store is restored from a copy of the sale.
    pub later: bool,
    /// Operators change how long requests count as seen. A store restored from a copy would not know.
    pub other_ages: bool,
    /// One more user only waits in the queue and polls at the prescribed interval.
    pub patient: bool,
    /// One outage is longer than anybody may be unseen.
    pub long_outage: bool,
    pub abandon_after_ms: i64,
    pub claim_after_ms: i64,
    pub absent_max_ms: i64,
}

impl FaultPlan {
    pub fn draw(prng: &mut Prng) -> FaultPlan {
        let wild = prng.permille(250);
        let mut some = |often: u64, max: u64| if wild || prng.permille(often) { 1 + prng.below(max) } else { 0 };
        let plan = FaultPlan {
            delay_ms_max: 1 + some(700, 60),
            append_lost: some(350, 60),
            append_unacknowledged: some(350, 80),
            append_twice: some(350, 80),
            append_backlog: some(200, 40),
            append_refused: some(250, 60),
            note_lost: 400,
            markers: some(250, 200),
            read_failed: some(250, 40),
            store_away: some(300, 60),
            commit_unanswered: some(350, 120),
            commit_late: some(300, 80),
            store_slow: some(400, 150),
            stale_reads: some(150, 60),
            rows_max: some(250, 40) as usize,
            gapless: some(800, 1) > 0,
            bad_records: some(200, 4),
            skew_ms_max: some(400, 3_000),
            workers: 1 + some(700, 3),
            cache_rows: if some(400, 1) > 0 { 8 } else { 100_000 },
            relay_in_flight: 1 + some(800, 200) as usize,
            // Often one by one: then the next is decided while the one before commits.
            batch_records: 1 + some(600, 60) as usize,
            fault_every_ms: 500 + some(900, 4_000),
            kills: some(500, 10),
            kills_at_call: some(500, 10),
            expiries: some(500, 10),
            storms: some(400, 10),
            outages: some(300, 6),
            jumps: some(300, 6),
            long_jumps: some(300, 1) > 0,
            api_crashes: some(300, 6),
            foreign: some(600, 16),
            staff: some(600, 16),
            operator: some(500, 6),
            show_cancelled: prng.permille(250),
            windows: prng.permille(250),
            patient: prng.permille(350),
            long_outage: prng.permille(200),
            abandon_after_ms: 12_000 + prng.below(50_000) as i64,
            claim_after_ms: 3_000 + prng.below(20_000) as i64,
            absent_max_ms: 5_000 + prng.below(60_000) as i64,
            later: prng.permille(300),
            other_ages: prng.permille(400),
        };
        // A store that is restored has lost what operators did since, and they would have to do the same again.
        let plan = FaultPlan { later: plan.later && plan.bad_records == 0, ..plan };
        let plan = FaultPlan { note_lost: if plan.gapless { 0 } else { plan.note_lost }, ..plan };
        if plan.patient && prng.permille(600) { plan.with_steady_clocks() } else { plan }
    }

    /// Then a user who polls at the prescribed interval must not be absent, whatever else fails.
    fn with_steady_clocks(self) -> FaultPlan {
        FaultPlan { jumps: 0, bad_records: 0, ..self }
    }

    /// Log time runs like all other time.
    pub fn has_steady_clocks(&self) -> bool {
        self.jumps + self.bad_records == 0
    }
}

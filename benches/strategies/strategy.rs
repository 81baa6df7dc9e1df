//! The strategies.

use std::fmt;

use clap::ValueEnum;

use crate::patterns::Pattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// `select … for update`, then the writes, in one transaction
    ForUpdate,
    /// A read, then a write on condition that the version is still the one that was read; ten tries with jitter
    Optimistic,
    /// A conditional `update`, then the other writes, in one transaction
    Conditional,
    /// Everything in one statement with CTEs
    SingleStatement,
    /// Requests that arrive while a call is under way go together into the next call of a procedure
    BatchedProcedure,
    /// A lock in Redis around a transaction; who waits is woken by a message
    RedisLock,
    /// A stream with a consumer group in front of the batched procedure
    RedisStream,
    /// Turnstile on Kafka and PostgreSQL
    Turnstile,
    /// Turnstile on its embedded log and store
    Embedded,
}

impl Strategy {
    pub const ALL: [Strategy; 9] = [
        Strategy::ForUpdate,
        Strategy::Optimistic,
        Strategy::Conditional,
        Strategy::SingleStatement,
        Strategy::BatchedProcedure,
        Strategy::RedisLock,
        Strategy::RedisStream,
        Strategy::Turnstile,
        Strategy::Embedded,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Strategy::ForUpdate => "for-update",
            Strategy::Optimistic => "optimistic",
            Strategy::Conditional => "conditional",
            Strategy::SingleStatement => "single-statement",
            Strategy::BatchedProcedure => "batched-procedure",
            Strategy::RedisLock => "redis-lock",
            Strategy::RedisStream => "redis-stream",
            Strategy::Turnstile => "turnstile",
            Strategy::Embedded => "embedded",
        }
    }

    pub fn is_rival(self) -> bool {
        !matches!(self, Strategy::Turnstile | Strategy::Embedded)
    }

    pub fn needs_redis(self) -> bool {
        matches!(self, Strategy::RedisLock | Strategy::RedisStream)
    }

    pub fn needs_postgres(self) -> bool {
        self != Strategy::Embedded
    }

    /// Connections to PostgreSQL: a pool for transactions, pipelined connections for single statements, callers of a
    /// procedure. Of 4, 8, 16 and 32 the best at 256 clients; on one row more only wait for each other. `--pool` tries
    /// others.
    pub fn pool(self, pattern: Pattern) -> usize {
        let one_row = matches!(pattern, Pattern::HotWallet | Pattern::HotSeat);
        match self {
            Strategy::ForUpdate | Strategy::Optimistic | Strategy::RedisLock => {
                if one_row {
                    8
                } else {
                    16
                }
            }
            Strategy::Conditional => 8,
            Strategy::SingleStatement => {
                if one_row {
                    4
                } else {
                    16
                }
            }
            Strategy::BatchedProcedure | Strategy::RedisStream => 2,
            Strategy::Turnstile | Strategy::Embedded => 0,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The rivals: each as a team would build it that knows its tools, with one process in front of PostgreSQL.
//!
//! `front` is the HTTP side of all of them. A rival decides a charge, a hold and a payment, and stores what Turnstile
//! stores: the wallet and its entry, the seat and its reservation, the request with its answer.

mod batched;
mod batcher;
mod conditional;
mod for_update;
mod front;
mod lock;
mod optimistic;
mod planted;
mod redis_lock;
mod redis_stream;
mod session;
mod single_statement;
mod transaction;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

pub use self::planted::Planted;
pub use self::redis_stream::delete_streams;
use crate::services::env;
use crate::strategy::Strategy;

/// The tables, and the procedures of the batched rivals.
pub const SCHEMA: &str = concat!(include_str!("schema.sql"), include_str!("procedures.sql"));

#[derive(Debug, Clone)]
pub struct Charge {
    pub request_id: Uuid,
    pub user: String,
    pub amount: i64,
}

#[derive(Debug, Clone)]
pub struct Hold {
    pub request_id: Uuid,
    pub user: String,
    pub schedule: Uuid,
    pub section: String,
    pub number: i64,
}

#[derive(Debug, Clone)]
pub struct Pay {
    pub request_id: Uuid,
    pub user: String,
    pub reservation: Uuid,
}

/// An answer as it is kept: JSON of a success, the code of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    Done(String),
    Refused(String),
}

impl Decided {
    pub fn of(succeeded: bool, outcome: String) -> Decided {
        if succeeded { Decided::Done(outcome) } else { Decided::Refused(outcome) }
    }
}

/// Why there is no decision: answered 503.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Redis(#[from] redis::RedisError),
    #[error("{0}")]
    Other(&'static str),
}

#[async_trait]
pub trait Rival: Send + Sync {
    async fn charge(&self, charge: Charge) -> Result<Decided, Failure>;
    async fn hold(&self, hold: Hold) -> Result<Decided, Failure>;
    async fn pay(&self, pay: Pay) -> Result<Decided, Failure>;
}

/// Serves until standard input ends, which it does with the process that started this one.
pub async fn serve(strategy: Strategy, pool: usize, planted: Option<Planted>) -> anyhow::Result<()> {
    let place = session::Place { url: env("TURNSTILE_TEST_DATABASE_URL")?, schema: env("RIVAL_SCHEMA")? };
    let rival: Arc<dyn Rival> = match strategy {
        Strategy::ForUpdate => match planted {
            Some(planted) => Arc::new(planted::Broken::connect(&place, pool, planted).await?),
            None => Arc::new(for_update::ForUpdate::connect(&place, pool).await?),
        },
        Strategy::Optimistic => Arc::new(optimistic::Optimistic::connect(&place, pool).await?),
        Strategy::Conditional => Arc::new(conditional::Conditional::connect(&place, pool).await?),
        Strategy::SingleStatement => Arc::new(single_statement::SingleStatement::connect(&place, pool).await?),
        Strategy::BatchedProcedure => Arc::new(batched::Batched::connect(&place, pool).await?),
        Strategy::RedisLock => Arc::new(redis_lock::RedisLock::connect(&place, pool).await?),
        Strategy::RedisStream => Arc::new(redis_stream::RedisStream::connect(&place, pool).await?),
        Strategy::Turnstile | Strategy::Embedded => anyhow::bail!("{strategy} is a program of its own"),
    };
    front::serve(rival, session::Pool::connect(&place, 1, &[front::REPEAT]).await?).await
}

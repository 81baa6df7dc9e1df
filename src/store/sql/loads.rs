//! What a batch needs before it is decided.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use uuid::Uuid;

use super::dialect::{Dialect, Query, Side, all, answers, first, query};
use super::mapping::{queues, records, reservations, seats, wallets};
use super::names::Names;
use super::tables::{self, Table};
use super::value::{Value, uuid};
use crate::domain::block::{self, BlockRow, Payment, Reservation};
use crate::domain::queue::{Queue, Token};
use crate::domain::wallet::{Entry, EntryKind, PaymentAnswer, Wallet};
use crate::domain::{BlockKey, LanePartition, PaymentId, ReservationId, ScheduleId, UserId};
use crate::store::{AggregateLoads, RequestKey, RequestRow, StoreError};

/// As `ReservationState::is_unfinished` says it; word for word the condition of the index.
pub(super) const UNFINISHED: &str =
    "(status in ('HELD', 'PAYING', 'CONFIRMED') or status = 'CANCELLED' and payment_id is not null)";
/// As `PaymentState::is_unfinished` says it; word for word the condition of the index.
const UNFINISHED_PAYMENT: &str = "status in ('PENDING', 'COMPLETED')";
/// As `TokenState::is_live` says it; word for word the condition of the index.
pub(super) const LIVE: &str = "status in ('WAITING', 'ABSENT', 'ACTIVE')";

/// Blocks, sections, seats, unfinished reservations, unfinished payments: a query each. Nothing that has ended is
/// visited. Sorted afterwards: for an order SQLite would copy every row into a table of its own.
fn block_queries<D: Dialect>(keys: &[BlockKey]) -> Vec<Query<'_>> {
    let pairs: Vec<(Uuid, &str)> = keys.iter().map(|key| (key.schedule_id.0, key.block.as_str())).collect();
    let of = |table: &Table, and: &str| {
        let sql = table.select(&format!("where (schedule_id, block) {} {and}", D::IN_PAIRS));
        query(sql, vec![Value::Pairs(pairs.clone())])
    };
    vec![
        of(&tables::BLOCK, ""),
        of(&tables::SECTION, ""),
        of(&tables::SEAT, ""),
        of(&tables::RESERVATION, &format!("and {UNFINISHED}")),
        of(&tables::PAYMENT, &format!("and {UNFINISHED_PAYMENT}")),
    ]
}

/// Blocks by key, with their parts as they come.
struct Blocks {
    places: HashMap<BlockKey, usize>,
    rows: Vec<block::Rows>,
}

impl Blocks {
    fn of(blocks: Vec<BlockRow>) -> Self {
        let places = blocks.iter().enumerate().map(|(place, block)| (block.key.clone(), place)).collect();
        let empty = |block| block::Rows {
            block,
            sections: Vec::new(),
            seats: Vec::new(),
            reservations: Vec::new(),
            payments: Vec::new(),
        };
        Blocks { places, rows: blocks.into_iter().map(empty).collect() }
    }

    /// A part of a block without a row is nobody's.
    fn get(&mut self, key: &BlockKey) -> Option<&mut block::Rows> {
        self.rows.get_mut(*self.places.get(key)?)
    }

    fn finish(mut self) -> Vec<block::Rows> {
        for rows in &mut self.rows {
            rows.sections.sort_by_key(|section| section.rank);
            rows.seats.sort_by(|one, other| one.id.cmp(&other.id));
            rows.reservations.sort_by_key(|reservation| reservation.id);
            rows.payments.sort_by_key(|payment| payment.id);
            let named: HashSet<PaymentId> = rows.reservations.iter().filter_map(|of| of.state.payment()).collect();
            rows.payments.retain(|payment| named.contains(&payment.id));
        }
        self.rows
    }
}

/// Rows of a table by id; none for no ids.
async fn by_id<D: Dialect>(
    store: &D,
    side: Side,
    table: &Table,
    column: &str,
    ids: Vec<Uuid>,
) -> Result<Vec<D::Row>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = table.select(&format!("where {column} {}", D::IN_UUIDS));
    store.read(side, query(sql, vec![Value::Uuids(ids)])).await
}

pub(super) async fn reservations_by_id<D: Dialect>(
    store: &D,
    side: Side,
    ids: &[ReservationId],
) -> Result<Vec<Reservation>, StoreError> {
    let rows = by_id(store, side, &tables::RESERVATION, "id", ids.iter().map(|id| id.0).collect()).await?;
    let mut names = Names::default();
    all(&rows, |row| reservations::reservation(row, &mut names))
}

pub(super) async fn wallets_of<D: Dialect>(store: &D, side: Side, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let sql = tables::WALLET.select(&format!("where user_id {}", D::IN_TEXTS));
    let parameters = vec![Value::Texts(users.iter().map(UserId::as_str).collect())];
    all(&store.read(side, query(sql, parameters)).await?, wallets::wallet)
}

#[async_trait]
impl<D: Dialect> AggregateLoads for D {
    async fn load_blocks(&self, keys: &[BlockKey]) -> Result<Vec<block::Rows>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read_together(Side::Owner, block_queries::<D>(keys)).await?;
        let [block_rows, section_rows, seat_rows, reservation_rows, payment_rows] = answers(rows)?;
        let mut names = Names::default();
        let mut blocks = Blocks::of(all(&block_rows, |row| seats::block(row, &mut names))?);
        macro_rules! add {
            ($rows:ident, $read:path, $part:ident) => {
                for row in &$rows {
                    let part = $read(row, &mut names)?;
                    if let Some(block) = blocks.get(&part.key) {
                        block.$part.push(part);
                    }
                }
            };
        }
        add!(section_rows, seats::section, sections);
        add!(seat_rows, seats::seat, seats);
        add!(reservation_rows, reservations::reservation, reservations);
        add!(payment_rows, reservations::payment, payments);
        Ok(blocks.finish())
    }

    async fn load_reservations(&self, ids: &[ReservationId]) -> Result<Vec<Reservation>, StoreError> {
        reservations_by_id(self, Side::Owner, ids).await
    }

    async fn load_payments(&self, ids: &[PaymentId]) -> Result<Vec<Payment>, StoreError> {
        let rows = by_id(self, Side::Owner, &tables::PAYMENT, "id", ids.iter().map(|id| id.0).collect()).await?;
        let mut names = Names::default();
        all(&rows, |row| reservations::payment(row, &mut names))
    }

    async fn load_wallets(&self, users: &[UserId]) -> Result<Vec<Wallet>, StoreError> {
        wallets_of(self, Side::Owner, users).await
    }

    async fn load_answers(&self, payments: &[PaymentId]) -> Result<Vec<PaymentAnswer>, StoreError> {
        let ids = payments.iter().map(|id| id.0).collect();
        all(&by_id(self, Side::Owner, &tables::PAYMENT_ANSWER, "payment_id", ids).await?, wallets::answer)
    }

    async fn load_entries(&self, causes: &[(EntryKind, Uuid)]) -> Result<Vec<Entry>, StoreError> {
        if causes.is_empty() {
            return Ok(Vec::new());
        }
        let sql = tables::WALLET_ENTRY.select(&format!("where (cause, kind) {}", D::IN_PAIRS));
        let pairs = causes.iter().map(|(kind, cause)| (*cause, kind.as_str())).collect();
        all(&self.read(Side::Owner, query(sql, vec![Value::Pairs(pairs)])).await?, wallets::entry)
    }

    async fn load_queue(&self, schedule: ScheduleId) -> Result<Option<(Queue, Vec<Token>)>, StoreError> {
        let of = |sql| query(sql, vec![uuid(schedule.0)]);
        // Sorted here: to have it sorted, SQLite would go through the tokens that have ended as well.
        let live = format!("where schedule_id = $1 and {LIVE}");
        let queries = vec![of(tables::QUEUE.select("where schedule_id = $1")), of(tables::QUEUE_TOKEN.select(&live))];
        let [queue_rows, token_rows] = answers(self.read_together(Side::Owner, queries).await?)?;
        let Some(queue) = first(&queue_rows, queues::queue)? else { return Ok(None) };
        let mut tokens = all(&token_rows, queues::token)?;
        tokens.sort_by_key(|token| token.sequence);
        Ok(Some((queue, tokens)))
    }

    async fn load_requests_of(&self, keys: &[(LanePartition, RequestKey)]) -> Result<Vec<RequestRow>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rest = format!("where (request_id, internal, lane, partition) {}", D::IN_REQUESTS);
        let parameters = vec![Value::Requests(keys.to_vec())];
        all(&self.read(Side::Owner, query(tables::REQUEST.select(&rest), parameters)).await?, records::request)
    }
}

//! Whole tables in pages, in order of their primary keys: for the audit.

use async_trait::async_trait;

use super::dialect::{Dialect, Side, all, query};
use super::mapping::{queues, records, reservations, seats, wallets};
use super::names::Names;
use super::tables::{self, Table};
use super::value::{Value, int, lane_partition, signed, text, uuid};
use crate::domain::{Row, block, queue, wallet};
use crate::store::{AuditReads, RequestRow, StateTable, StoreError};

fn table_of(table: StateTable) -> &'static Table {
    match table {
        StateTable::Block => &tables::BLOCK,
        StateTable::Section => &tables::SECTION,
        StateTable::Seat => &tables::SEAT,
        StateTable::Reservation => &tables::RESERVATION,
        StateTable::Payment => &tables::PAYMENT,
        StateTable::Wallet => &tables::WALLET,
        StateTable::WalletEntry => &tables::WALLET_ENTRY,
        StateTable::PaymentAnswer => &tables::PAYMENT_ANSWER,
        StateTable::Queue => &tables::QUEUE,
        StateTable::Token => &tables::QUEUE_TOKEN,
    }
}

/// A row's primary key.
fn key_of(row: &Row) -> Result<Vec<Value<'_>>, StoreError> {
    Ok(match row {
        Row::Seats(block::Row::Block(row)) => seats::key(&row.key).into(),
        Row::Seats(block::Row::Section(row)) => {
            let [schedule_id, block] = seats::key(&row.key);
            vec![schedule_id, block, text(row.name.as_str())]
        }
        Row::Seats(block::Row::Seat(row)) => {
            let [schedule_id, block] = seats::key(&row.key);
            vec![schedule_id, block, text(row.id.section.as_str()), signed(row.id.number)]
        }
        Row::Seats(block::Row::Reservation(row)) => vec![uuid(row.id.0)],
        Row::Seats(block::Row::Payment(row)) => vec![uuid(row.id.0)],
        Row::Wallets(wallet::Row::Wallet(row)) => vec![text(row.user_id.as_str())],
        Row::Wallets(wallet::Row::Entry(row)) => vec![text(row.user_id.as_str()), int(row.number)?],
        Row::Wallets(wallet::Row::Answer(row)) => {
            vec![uuid(row.payment_id.0), text(row.kind.as_str()), text(row.user_id.as_str())]
        }
        Row::Queues(queue::Row::Queue(row)) => vec![uuid(row.schedule_id.0)],
        Row::Queues(queue::Row::Token(row)) => vec![uuid(row.schedule_id.0), int(row.sequence)?],
    })
}

async fn page<D: Dialect>(
    store: &D,
    table: &Table,
    after: Option<Vec<Value<'_>>>,
    limit: u32,
) -> Result<Vec<D::Row>, StoreError> {
    let key = table.key.join(", ");
    let mut parameters = after.unwrap_or_default();
    let holes: Vec<String> = (1..=parameters.len()).map(|n| format!("${n}")).collect();
    let from = if holes.is_empty() { String::new() } else { format!("where ({key}) > ({})", holes.join(", ")) };
    parameters.push(signed(limit));
    let sql = table.select(&format!("{from} order by {key} limit ${}", parameters.len()));
    store.read(Side::Page, query(sql, parameters)).await
}

#[async_trait]
impl<D: Dialect> AuditReads for D {
    async fn state_page(&self, table: StateTable, after: Option<&Row>, limit: u32) -> Result<Vec<Row>, StoreError> {
        let rows = page(self, table_of(table), after.map(key_of).transpose()?, limit).await?;
        let mut names = Names::default();
        all(&rows, |row| {
            Ok(match table {
                StateTable::Block => Row::Seats(block::Row::Block(seats::block(row, &mut names)?)),
                StateTable::Section => Row::Seats(block::Row::Section(seats::section(row, &mut names)?)),
                StateTable::Seat => Row::Seats(block::Row::Seat(seats::seat(row, &mut names)?)),
                StateTable::Reservation => {
                    Row::Seats(block::Row::Reservation(reservations::reservation(row, &mut names)?))
                }
                StateTable::Payment => Row::Seats(block::Row::Payment(reservations::payment(row, &mut names)?)),
                StateTable::Wallet => Row::Wallets(wallet::Row::Wallet(wallets::wallet(row)?)),
                StateTable::WalletEntry => Row::Wallets(wallet::Row::Entry(wallets::entry(row)?)),
                StateTable::PaymentAnswer => Row::Wallets(wallet::Row::Answer(wallets::answer(row)?)),
                StateTable::Queue => Row::Queues(queue::Row::Queue(queues::queue(row)?)),
                StateTable::Token => Row::Queues(queue::Row::Token(queues::token(row)?)),
            })
        })
    }

    async fn requests_page(&self, after: Option<&RequestRow>, limit: u32) -> Result<Vec<RequestRow>, StoreError> {
        let key = after.map(|row| {
            let [lane, partition] = lane_partition(row.position.partition);
            vec![uuid(row.key.id.0), Value::Flag(row.key.internal), lane, partition]
        });
        all(&page(self, &tables::REQUEST, key, limit).await?, records::request)
    }
}

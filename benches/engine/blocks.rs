//! Blocks through a store: what size costs when one is opened, loaded and sold. Records are decided by an owner's own steps
//! and committed one batch a statement, without a log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use turnstile::domain::block::{
    self, BestAvailable, Block, CancelReservation, Choice, HoldSeats, PayReservation, SettlePayment, Settlement,
};
use turnstile::domain::wallet::{self, ForPayment};
use turnstile::domain::{
    Aggregate, Balance, BlockKey, Body, Command, Lane, LanePartition, RequestId, ReservationId, ScheduleId, SeatId,
};
use turnstile::log::{PartitionCounts, Record, Timestamp, Topic};
use turnstile::processor::Replay;
use turnstile::store::{CommitBatch, Committed, OutboxRow, Remember, RequestRow, Store};
use turnstile::wire;
use uuid::Uuid;

use crate::Args;
use crate::pair::Pair;
use crate::rules::{SECTION_SEATS, opening};

/// The block that the large one is compared with.
const SMALL: u32 = 100;
/// Seats of a hold that is measured, and how many are in a commit.
const SEATS: u32 = 2;
const HOLDS: u32 = 20;
/// Seats of a reservation that only fills a block, and how many are in a commit: as many rows as an owner decides at once.
const FILLING_SEATS: u32 = 4;
const FILLING: usize = 1_000;

/// Wanted of 100,000 seats.
const OPENED_WITHIN: Duration = Duration::from_millis(300);
const LOADED_WITHIN: Duration = Duration::from_secs(1);
const TIMES_THE_SMALL: f64 = 1.5;

pub async fn run(pair: &Pair, args: &Args) -> anyhow::Result<()> {
    let (kind, seats, rounds) = (pair.kind, args.seats, args.rounds);
    println!("\n| {kind}: a block of {seats} seats | median | lowest–highest | wanted |\n|---|---:|---:|---:|");
    opened(pair, seats, rounds).await?;
    for (what, sold) in [("held", false), ("sold", true)] {
        loaded(pair, seats, rounds, what, sold).await?;
    }
    for (what, named) in [("by name", true), ("of the best", false)] {
        held(pair, seats, rounds, what, named).await?;
    }
    Ok(())
}

async fn opened(pair: &Pair, seats: u32, rounds: usize) -> anyhow::Result<()> {
    let (store, _) = pair.another_store().await?;
    let mut owner = Owner::of(store, pair.log.partitions()).await?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let hall = owner.hall(seats);
        let (batch, took) = owner.commit(&[hall.opening()]).await?;
        succeeded(&batch, 1)?;
        times.push(took);
    }
    show("opened: decided and committed", &times, Some(OPENED_WITHIN));
    Ok(())
}

/// All of it taken; read through a store that was opened anew, as a new owner's is.
async fn loaded(pair: &Pair, seats: u32, rounds: usize, what: &str, sold: bool) -> anyhow::Result<()> {
    let (store, settings) = pair.another_store().await?;
    let mut owner = Owner::of(store, pair.log.partitions()).await?;
    let hall = owner.hall(seats);
    owner.open(&hall).await?;
    owner.take(&hall, seats, sold).await?;
    let (mut reads, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let store = settings.open_again().await?;
        let began = Instant::now();
        let rows = store.load_blocks(std::slice::from_ref(&hall.key)).await?.pop().context("no block")?;
        reads.push(began.elapsed());
        let (touched, taken) = (rows.seats.len(), rows.reservations.len());
        ensure!(touched == seats as usize && taken == touched / FILLING_SEATS as usize, "read: {touched}, {taken}");
        ensure!(rows.payments.len() == if sold { taken } else { 0 }, "{} payments", rows.payments.len());
        let block = Block::load(rows);
        loads.push(began.elapsed());
        ensure!(block.rows() > seats as usize, "{} rows were loaded", block.rows());
    }
    show(&format!("loaded, all {what}: the store's part"), &reads, None);
    show(&format!("loaded, all {what}"), &loads, Some(LOADED_WITHIN));
    Ok(())
}

/// Holds of the large block and of the small one in turn. The better half of each is sold.
async fn held(pair: &Pair, seats: u32, rounds: usize, what: &str, named: bool) -> anyhow::Result<()> {
    let mut blocks = Vec::new();
    for seats in [seats, SMALL] {
        let (store, _) = pair.another_store().await?;
        let mut owner = Owner::of(store, pair.log.partitions()).await?;
        let hall = owner.hall(seats);
        owner.open(&hall).await?;
        owner.take(&hall, seats / 2, true).await?;
        blocks.push((owner, hall, Vec::new()));
    }
    for _ in 0..rounds {
        for (owner, hall, times) in &mut blocks {
            let free = |number| Choice::Seats(seats_from(hall.seats / 2 + 1 + SEATS * number, SEATS));
            let best = || Choice::BestAvailable(BestAvailable { count: SEATS, section: None, category: None });
            let holds: Vec<_> = (0..HOLDS).map(|number| hall.hold(if named { free(number) } else { best() })).collect();
            let (batch, took) = owner.commit(&holds).await?;
            times.push(took / HOLDS);
            // The block is as it was.
            let cancels = then(&holds, &batch, false)?;
            succeeded(&owner.commit(&cancels).await?.0, cancels.len())?;
        }
    }
    for (_, hall, times) in &blocks {
        show(&format!("a hold {what} among {} seats, {HOLDS} in a commit", hall.seats), times, None);
    }
    let times = median(&blocks[0].2).as_secs_f64() / median(&blocks[1].2).as_secs_f64();
    println!("| holds {what}: the large by the small | {times:.2} | | {TIMES_THE_SMALL} |");
    Ok(())
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

fn show(what: &str, times: &[Duration], wanted: Option<Duration>) {
    let ms = |of: Duration| format!("{:.2}", of.as_secs_f64() * 1_000.0);
    let (lowest, highest) = (times.iter().min().copied(), times.iter().max().copied());
    let (lowest, highest) = (lowest.unwrap_or_default(), highest.unwrap_or_default());
    let wanted = wanted.map(|wanted| format!("{} ms", wanted.as_millis())).unwrap_or_default();
    println!("| {what} | {} ms | {}–{} | {wanted} |", ms(median(times)), ms(lowest), ms(highest));
}

/// One partition of seats, decided and committed.
struct Owner {
    store: Arc<dyn Store>,
    counts: PartitionCounts,
    replay: Replay,
    epoch: u64,
    offset: u64,
    halls: u128,
}

impl Owner {
    async fn of(store: Arc<dyn Store>, counts: &PartitionCounts) -> anyhow::Result<Owner> {
        let partition = LanePartition { lane: Lane::Seats, partition: 0 };
        let epoch = store.acquire(partition, "blocks").await?.epoch;
        let replay = Replay::new(partition, counts, Remember::DEFAULT, Vec::new());
        Ok(Owner { store, counts: counts.clone(), replay, epoch, offset: 0, halls: 0 })
    }

    /// Of a new date, whose block this partition owns.
    fn hall(&mut self, seats: u32) -> Hall {
        let partitions = self.counts.of(Topic::Lane(Lane::Seats));
        loop {
            self.halls += 1;
            let key = BlockKey::main(ScheduleId(Uuid::from_u128(self.halls)));
            let hall = Hall { key, seats };
            if wire::routing::partition_for(&hall.opening().body.routing_key().to_string(), partitions) == 0 {
                return hall;
            }
        }
    }

    async fn open(&mut self, hall: &Hall) -> anyhow::Result<()> {
        succeeded(&self.commit(&[hall.opening()]).await?.0, 1)?;
        Ok(())
    }

    /// Decides and commits; what was committed, and how long it took.
    async fn commit(&mut self, commands: &[Command]) -> anyhow::Result<(CommitBatch, Duration)> {
        let mut records = Vec::with_capacity(commands.len());
        for command in commands {
            records.push(Record {
                offset: self.offset,
                timestamp: Timestamp::LogAppend(self.offset as i64),
                key: Some(command.body.routing_key().to_string().into()),
                value: Some(wire::command::encode(command).into()),
                headers: Vec::new(),
                unreadable_headers: 0,
            });
            self.offset += 1;
        }
        let began = Instant::now();
        let mut batch = self.replay.decide(records).await?;
        (batch.before.epoch, batch.after.epoch) = (self.epoch, self.epoch);
        let committed = self.store.commit(&batch).await?;
        let took = began.elapsed();
        ensure!(committed == Committed::Done, "a batch was fenced");
        ensure!(batch.dead_letters.is_empty(), "a command was not understood: {}", batch.dead_letters[0].reason);
        Ok((batch, took))
    }

    /// The first seats, held or paid. Wallets are not asked: they agree.
    async fn take(&mut self, hall: &Hall, seats: u32, sold: bool) -> anyhow::Result<()> {
        let all = (0..seats / FILLING_SEATS).map(|number| seats_from(1 + FILLING_SEATS * number, FILLING_SEATS));
        let holds: Vec<_> = all.map(|seats| hall.hold(Choice::Seats(seats))).collect();
        for holds in holds.chunks(FILLING) {
            let (batch, _) = self.commit(holds).await?;
            let payments = then(holds, &batch, true)?;
            if !sold {
                continue;
            }
            let (batch, _) = self.commit(&payments).await?;
            let debited = batch.outbox.iter().filter(|row| row.topic == Topic::Lane(Lane::Wallets)).map(debited);
            let (batch, _) = self.commit(&debited.collect::<anyhow::Result<Vec<_>>>()?).await?;
            let paid = batch.completions.iter().filter(|of| of.decided.succeeded).count();
            ensure!(paid == holds.len(), "{paid} of {} are paid", holds.len());
        }
        Ok(())
    }
}

/// The results of a batch's commands, in their order; all must have succeeded.
fn succeeded(batch: &CommitBatch, commands: usize) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut requests: Vec<_> = batch.requests.iter().collect();
    ensure!(requests.len() == commands, "{} of {commands} are decided", requests.len());
    requests.sort_by_key(|row| row.position.offset);
    let result = |row: &RequestRow| -> anyhow::Result<serde_json::Value> {
        let mut outcome: serde_json::Value = serde_json::from_str(row.state.outcome().context("it is pending")?)?;
        ensure!(outcome["status"] == "SUCCEEDED", "refused: {outcome}");
        Ok(outcome["result"].take())
    };
    requests.into_iter().map(result).collect()
}

/// What their users do next with what these holds have got.
fn then(holds: &[Command], batch: &CommitBatch, pays: bool) -> anyhow::Result<Vec<Command>> {
    let next = |(hold, result): (&Command, serde_json::Value)| {
        let Body::Seats(block::Command::HoldSeats(HoldSeats { key, user_id, .. })) = &hold.body else {
            bail!("not a hold");
        };
        let (key, user_id) = (key.clone(), user_id.clone());
        let reservation_id = ReservationId(result["reservation_id"].as_str().context("no reservation")?.parse()?);
        Ok(command(match pays {
            true => block::Command::PayReservation(PayReservation { key, user_id, reservation_id, amount: None }),
            false => block::Command::CancelReservation(CancelReservation { key, user_id, reservation_id }),
        }))
    };
    holds.iter().zip(succeeded(batch, holds.len())?).map(next).collect()
}

/// The wallet's answer to a debit.
fn debited(row: &OutboxRow) -> anyhow::Result<Command> {
    let asked = wire::command::decode(&row.payload)?;
    let Body::Wallets(wallet::Command::DebitForPayment(ForPayment { origin, user_id, amount, .. })) = asked.body else {
        bail!("not a debit");
    };
    let settlement = Settlement::Debited { balance: Balance::ZERO };
    Ok(command(block::Command::SettlePayment(SettlePayment { origin, user_id, amount, settlement })))
}

/// They are counted from 1 over all sections.
fn seats_from(first: u32, count: u32) -> Vec<SeatId> {
    let seat = |number: u32| SeatId {
        section: format!("S{}", (number - 1) / SECTION_SEATS).parse().expect("a name"),
        number: (number - 1) % SECTION_SEATS + 1,
    };
    let mut seats: Vec<_> = (first..first + count).map(seat).collect();
    seats.sort();
    seats
}

struct Hall {
    key: BlockKey,
    seats: u32,
}

impl Hall {
    fn opening(&self) -> Command {
        command(opening(&self.key, self.seats))
    }

    /// Each by another user.
    fn hold(&self, choice: Choice) -> Command {
        let user_id = format!("u{}", Uuid::now_v7().simple()).parse().expect("a name");
        command(block::Command::HoldSeats(HoldSeats { key: self.key.clone(), user_id, choice, admitted: false }))
    }
}

fn command(body: block::Command) -> Command {
    Command { request_id: RequestId(Uuid::now_v7()), by: None, body: Body::Seats(body) }
}

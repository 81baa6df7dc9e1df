//! A naive second opinion: goes through the log in order with models that share no code with the rules, and compares
//! with what the store and the topics say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::command::{Body, Command, Settlement};
use turnstile::domain::section::SeatStatus;
use turnstile::domain::{Change, Lane, LogTime, Position, RequestId};
use turnstile::log::{LanePartition, Log, Record, Timestamp, Topic};
use turnstile::store::{RequestRow, RequestStatus, StateTable, Store, lane_partitions};
use turnstile::wire;

use crate::clients;
use crate::gate::{self, Gate};
use crate::halls::Halls;
use crate::line::Line;
use crate::strangers::PRICE;
use crate::world::World;

pub type Judged = Result<(), String>;

/// One request with the command it came from.
pub struct Case {
    pub row: RequestRow,
    pub command: Command,
    pub outcome: Value,
    /// Decided by its own record; else by a settlement.
    pub at_once: bool,
    /// When its record came to the log, ms since the run began.
    pub stored_ms: u64,
}

macro_rules! must {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
pub(crate) use must;

/// Judges a run that is over. The store must be at rest.
pub async fn judge(world: &World) -> Judged {
    let rows = all_requests(world).await?;
    let state = all_state(world).await?;
    let cases = lanes(world, &rows)?;
    clients::accepted(world, &rows)?;
    let published = outcomes(world, &rows)?;
    seats(&cases, &state)?;
    wallets(&cases, &state)?;
    across_lanes(&cases)?;
    let mut line = Line::default();
    for case in cases.iter().filter(|case| case.row.position.lane == Lane::Queues) {
        line.follow(case).map_err(|why| format!("{} at {}: {why}", case.row.command, case.row.position))?;
    }
    line.compare(&state)?;
    dead_letters(world).await?;
    clients::told(world, &cases)?;
    clients::sent_once(world)?;
    let published = gate::published(&line, &published);
    Gate { world, line: &line, published }.judge(&cases)
}

async fn all_requests(world: &World) -> Result<Vec<RequestRow>, String> {
    world.store.requests_page(None, u32::MAX).await.map_err(|error| error.to_string())
}

async fn all_state(world: &World) -> Result<Vec<Change>, String> {
    let mut all = Vec::new();
    for table in StateTable::ALL {
        all.extend(world.store.state_page(table, None, u32::MAX).await.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

fn home(world: &World, command: &Command) -> LanePartition {
    let (topic, partition) = world.place(&command.body);
    let Topic::Lane(lane) = topic else { unreachable!("commands belong on lanes") };
    LanePartition { lane, partition }
}

/// Every command on every lane has exactly one request, decided, where it belongs and nowhere else; log time is as the
/// records say. Gives the cases by lane and partition, in order.
fn lanes(world: &World, rows: &[RequestRow]) -> Result<Vec<Case>, String> {
    let mut by_place: BTreeMap<Position, &RequestRow> = BTreeMap::new();
    let mut by_id: BTreeMap<(RequestId, LanePartition), &RequestRow> = BTreeMap::new();
    for row in rows {
        must!(row.status != RequestStatus::Pending, "request {} at {} is never decided", row.request_id, row.position);
        must!(by_place.insert(row.position, row).is_none(), "two requests lie at {}", row.position);
        let Position { lane, partition, .. } = row.position;
        by_id.insert((row.request_id, LanePartition { lane, partition }), row);
    }
    let mut cases = Vec::new();
    for here in lane_partitions(world.log.partitions()) {
        let mut last = LogTime(0);
        for (record, stored_ms) in world.log.all_timed(Topic::Lane(here.lane), here.partition) {
            let Some(command) = understood(&record) else {
                must!(by_place.remove(&here.at(record.offset)).is_none(), "rubbish at {here} became a request");
                last = last.max(LogTime(stamp(&record, last)));
                continue;
            };
            let home = home(world, &command);
            let row = by_id.get(&(command.request_id, home));
            let Some(row) = row else {
                return Err(format!("{} at {here}.{} was never decided at {home}", command.body.name(), record.offset));
            };
            must!(
                row.position.partition == home.partition,
                "{} was decided where it does not belong",
                command.body.name()
            );
            let here_first = by_place.remove(&here.at(record.offset));
            last = last.max(LogTime(stamp(&record, last)));
            if let Some(row) = here_first {
                must!(home == here, "a stray was decided at {}", row.position);
                must!(row.request_id == command.request_id, "{} has another request's row", row.position);
                must!(world.sim.plan.producers_stamp || row.at == last, "log time of {} is {:?}", row.position, row.at);
                must!(
                    row.fingerprint == wire::fingerprint(&command.body),
                    "the row of {} is another command's",
                    row.position
                );
                cases.push(case(row, command, stored_ms)?);
            }
        }
    }
    match by_place.keys().next() {
        None => Ok(cases),
        Some(position) => Err(format!("a request lies at {position}, where no command is")),
    }
}

fn stamp(record: &Record, last: LogTime) -> i64 {
    match record.timestamp {
        Timestamp::LogAppend(ms) => ms,
        Timestamp::Create(_) => last.0,
    }
}

pub fn understood(record: &Record) -> Option<Command> {
    wire::command::decode(record.value.as_ref()?).ok()
}

fn case(row: &RequestRow, command: Command, stored_ms: u64) -> Result<Case, String> {
    let text = row.outcome.as_deref().ok_or_else(|| format!("{} is decided without an outcome", row.position))?;
    let outcome: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let at_once =
        outcome["decided"]["offset"] == row.position.offset && outcome["decided"]["lane"] == row.position.lane.as_str();
    Ok(Case { row: row.clone(), command, outcome, at_once, stored_ms })
}

/// When the outcome of what lies at this lane and offset was first published, ms since the run began.
type Published = BTreeMap<(LanePartition, u64), u64>;

/// Each request has exactly one outcome on the topic, the stored one; first appearances are in the order of decisions.
fn outcomes(world: &World, rows: &[RequestRow]) -> Result<Published, String> {
    let mut first: Published = BTreeMap::new();
    let mut by_event: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut published: BTreeMap<(RequestId, String), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for partition in 0..world.log.partitions().of(Topic::Outcomes) {
        let mut last: BTreeMap<LanePartition, u64> = BTreeMap::new();
        for (record, stored_ms) in world.log.all_timed(Topic::Outcomes, partition) {
            let value = record.value.as_ref().map(|value| value.to_vec()).unwrap_or_default();
            let event = record.headers.iter().find(|(name, _)| name == "ce_id").map(|(_, id)| id.clone());
            let event = event.ok_or("an outcome has no ce_id")?;
            if let Some(before) = by_event.get(&event) {
                must!(*before == value, "an outcome was published with two contents");
                continue;
            }
            let view = wire::outcome::decode_value(&value).map_err(|error| error.to_string())?;
            let Position { lane, partition, offset } = view.decided.0.position;
            let from = LanePartition { lane, partition };
            let known_ms = first.entry((from, offset)).or_insert(stored_ms);
            *known_ms = stored_ms.min(*known_ms);
            let last = last.entry(from).or_default();
            must!(
                !world.sim.plan.gapless || *last <= offset,
                "the outcome of {lane}.{partition}.{offset} comes after that of {last}"
            );
            *last = offset.max(*last);
            let reused = view.problem.as_ref().is_some_and(|problem| problem["code"] == "idempotency_key_reused");
            if !reused {
                let place = format!("{lane}.{partition}");
                published.entry((view.request_id, place)).or_default().insert(value.clone());
            }
            by_event.insert(event, value);
        }
    }
    for row in rows {
        let place = format!("{}.{}", row.position.lane, row.position.partition);
        let found = published.remove(&(row.request_id, place)).unwrap_or_default();
        let stored = row.outcome.as_deref().unwrap_or_default().as_bytes().to_vec();
        must!(
            found.len() == 1 && found.contains(&stored),
            "{} at {} has {} outcomes on the topic, or another one than the store",
            row.command,
            row.position,
            found.len()
        );
    }
    match published.into_keys().next() {
        None => Ok(first),
        Some((id, place)) => Err(format!("an outcome of {id} at {place} was published that the store does not know")),
    }
}

fn seats(cases: &[Case], state: &[Change]) -> Judged {
    let mut halls = Halls::default();
    for case in cases.iter().filter(|case| case.row.position.lane == Lane::Seats) {
        halls.follow(case).map_err(|why| format!("{} at {}: {why}", case.row.command, case.row.position))?;
    }
    for change in state {
        if let Change::Seat(seat) = change {
            let name = format!("{}/{}-{}", seat.schedule_id, seat.section, seat.number);
            let expected = halls.seat(&name);
            let found = match (seat.status, seat.reservation) {
                (SeatStatus::Available, _) => None,
                (status, id) => id.map(|id| (id.to_string(), status)),
            };
            must!(expected == found, "seat {name} is {found:?}, by the history it is {expected:?}");
            must!(seat.status != SeatStatus::Paying, "seat {name} is being paid for ever");
        }
    }
    Ok(())
}

/// Balances by the history of commands and their outcomes.
fn wallets(cases: &[Case], state: &[Change]) -> Judged {
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    for case in cases {
        let done = case.row.status == RequestStatus::Succeeded;
        let (user, amount) = match &case.command.body {
            Body::ChargeWallet(c) => (&c.user_id, c.amount),
            Body::DebitWallet(c) => (&c.user_id, -c.amount),
            Body::CreditWallet(c) => (&c.user_id, c.amount),
            _ => continue,
        };
        let balance = balances.entry(user.to_string()).or_default();
        if done {
            *balance += amount;
            must!(*balance >= 0, "the balance of {user} was below 0 at {}", case.row.position);
            must!(
                case.outcome["result"]["balance"] == *balance,
                "{} says {} for {user}, the history {balance}",
                case.row.position,
                case.outcome["result"]["balance"]
            );
        } else {
            let poor = case.outcome["problem"]["code"] == "insufficient_balance" && *balance + amount < 0;
            must!(poor, "{} was refused for no reason: {}", case.row.position, case.outcome["problem"]);
        }
    }
    for change in state {
        if let Change::Wallet(wallet) = change {
            let expected = balances.get(wallet.user_id.as_str()).copied().unwrap_or(0);
            must!(wallet.balance == expected, "{} has {}, by the history {expected}", wallet.user_id, wallet.balance);
        }
    }
    Ok(())
}

/// What one lane asks of another happens exactly once.
fn across_lanes(cases: &[Case]) -> Judged {
    let mut debits: BTreeMap<RequestId, Vec<&Case>> = BTreeMap::new();
    let mut credits: BTreeMap<RequestId, Vec<&Case>> = BTreeMap::new();
    let (mut sold_with_queue, mut completed) = (0, 0);
    for case in cases {
        match &case.command.body {
            Body::DebitWallet(c) => {
                if let Some(origin) = &c.origin {
                    debits.entry(origin.request_id).or_default().push(case);
                }
            }
            Body::CreditWallet(c) => credits.entry(c.origin.request_id).or_default().push(case),
            Body::CompleteToken(_) => completed += 1,
            _ => {}
        }
    }
    let queued: BTreeSet<_> = cases
        .iter()
        .filter_map(|case| match &case.command.body {
            Body::OpenSection(c) if c.queue => Some(c.schedule_id),
            _ => None,
        })
        .collect();
    for case in cases.iter().filter(|case| !case.at_once) {
        let succeeded = case.row.status == RequestStatus::Succeeded;
        let (moved, of) = match case.command.body {
            Body::PayReservation(_) => (debits.remove(&case.row.request_id).unwrap_or_default(), "debit"),
            Body::CancelReservation(_) => (credits.remove(&case.row.request_id).unwrap_or_default(), "credit"),
            _ => return Err(format!("{} was decided by another record", case.row.position)),
        };
        let done = moved.iter().filter(|case| case.row.status == RequestStatus::Succeeded).count();
        must!(moved.len() == 1, "{} led to {} {of}s", case.row.position, moved.len());
        must!(done == usize::from(succeeded), "{} is {:?}, its {of} is not", case.row.position, case.row.status);
        if let Body::PayReservation(c) = &case.command.body {
            sold_with_queue += usize::from(succeeded && queued.contains(&c.schedule_id));
            let amount = case.outcome["result"]["amount"].as_i64().unwrap_or(0);
            must!(amount % PRICE == 0, "{} cost {amount}", case.row.position);
        }
    }
    must!(debits.is_empty() && credits.is_empty(), "money moved that nobody asked for");
    must!(completed == sold_with_queue, "{sold_with_queue} sales completed {completed} tokens");
    let settled: BTreeSet<_> = cases
        .iter()
        .filter_map(|case| match &case.command.body {
            Body::SettlePayment(c) => Some((c.origin.request_id, matches!(c.settlement, Settlement::Refunded { .. }))),
            _ => None,
        })
        .collect();
    let settlements = cases.iter().filter(|case| matches!(case.command.body, Body::SettlePayment(_))).count();
    must!(settled.len() == settlements, "{} payments were settled {settlements} times", settled.len());
    Ok(())
}

/// Each record that nobody can understand is kept and published with its reason, and nothing else is.
async fn dead_letters(world: &World) -> Judged {
    let mut expected = BTreeSet::new();
    for here in lane_partitions(world.log.partitions()) {
        for record in world.log.all(Topic::Lane(here.lane), here.partition) {
            if understood(&record).is_none() {
                expected.insert(here.at(record.offset).to_string());
            }
        }
    }
    let mut published = BTreeSet::new();
    for record in world.log.all(Topic::DeadLetters, 0) {
        let position = record.headers.iter().find(|(name, _)| name == wire::headers::POSITION);
        published.extend(position.map(|(_, value)| String::from_utf8_lossy(value).into_owned()));
    }
    let store: &dyn Store = &world.store;
    let page = turnstile::store::reads::Page { after: None, limit: u32::MAX };
    let kept = store.dead_letters(page).await.map_err(|error| error.to_string())?;
    let kept: BTreeSet<String> = kept.iter().map(|view| view.letter.position.to_string()).collect();
    must!(kept == expected, "dead letters are kept for {kept:?}, rubbish lies at {expected:?}");
    must!(published == expected, "dead letters are published for {published:?}, rubbish lies at {expected:?}");
    Ok(())
}

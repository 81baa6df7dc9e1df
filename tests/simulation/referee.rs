//! A naive second opinion: goes through the log in order with models that share no code with the rules, and compares
//! with what the store and the topics say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use turnstile::domain::command::{Body, Command, Settlement};
use turnstile::domain::queue::TokenStatus;
use turnstile::domain::section::SeatStatus;
use turnstile::domain::{Change, Lane, LogTime, Position, RequestId};
use turnstile::log::{LanePartition, Log, Record, Timestamp, Topic};
use turnstile::store::{RequestRow, RequestStatus, StateTable, Store, lane_partitions};
use turnstile::wire;

use crate::halls::Halls;
use crate::strangers::PRICE;
use crate::world::World;

type Judged = Result<(), String>;

/// One request with the command it came from.
pub struct Case {
    pub row: RequestRow,
    pub command: Command,
    pub outcome: Value,
    /// Decided by its own record; else by a settlement.
    pub at_once: bool,
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
    accepted(world, &rows)?;
    outcomes(world, &rows)?;
    seats(&cases, &state)?;
    wallets(&cases, &state)?;
    across_lanes(&cases)?;
    queues(&cases, &state)?;
    dead_letters(world).await?;
    clients(world, &cases)
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
        for record in world.log.all(Topic::Lane(here.lane), here.partition) {
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
                cases.push(case(row, command)?);
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

fn understood(record: &Record) -> Option<Command> {
    wire::command::decode(record.value.as_ref()?).ok()
}

fn case(row: &RequestRow, command: Command) -> Result<Case, String> {
    let text = row.outcome.as_deref().ok_or_else(|| format!("{} is decided without an outcome", row.position))?;
    let outcome: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let at_once =
        outcome["decided"]["offset"] == row.position.offset && outcome["decided"]["lane"] == row.position.lane.as_str();
    Ok(Case { row: row.clone(), command, outcome, at_once })
}

/// What was answered 202, and what the log acknowledged, is decided.
fn accepted(world: &World, rows: &[RequestRow]) -> Judged {
    let decided: BTreeSet<RequestId> = rows.iter().map(|row| row.request_id).collect();
    for asked in world.history.all() {
        let known = decided.contains(&asked.request_id);
        must!(known || !asked.accepted, "{} {} was accepted and never decided", asked.method, asked.path);
        must!(known || asked.answers.is_empty(), "{} {} was answered and is not there", asked.method, asked.path);
    }
    for id in world.history.all_sent() {
        must!(decided.contains(&id), "{id} was acknowledged by the log and never decided");
    }
    Ok(())
}

/// Each request has exactly one outcome on the topic, the stored one; first appearances are in the order of decisions.
fn outcomes(world: &World, rows: &[RequestRow]) -> Judged {
    let mut by_event: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut published: BTreeMap<(RequestId, String), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for partition in 0..world.log.partitions().of(Topic::Outcomes) {
        let mut last: BTreeMap<LanePartition, u64> = BTreeMap::new();
        for record in world.log.all(Topic::Outcomes, partition) {
            let value = record.value.as_ref().map(|value| value.to_vec()).unwrap_or_default();
            let event = record.headers.iter().find(|(name, _)| name == "ce_id").map(|(_, id)| id.clone());
            let event = event.ok_or("an outcome has no ce_id")?;
            if let Some(before) = by_event.get(&event) {
                must!(*before == value, "an outcome was published with two contents");
                continue;
            }
            let view = wire::outcome::decode_value(&value).map_err(|error| error.to_string())?;
            let Position { lane, partition, offset } = view.decided.0.position;
            let last = last.entry(LanePartition { lane, partition }).or_default();
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
        None => Ok(()),
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

/// Sequences without gap or repeat, one live token a user.
fn queues(cases: &[Case], state: &[Change]) -> Judged {
    let mut sequences = BTreeSet::new();
    let mut live = BTreeSet::new();
    let mut next = None;
    for change in state {
        match change {
            Change::Token(token) => {
                sequences.insert(token.sequence);
                if token.status.is_live() {
                    must!(live.insert(token.user_id.clone()), "{} has two live tokens", token.user_id);
                }
                let active_only = token.status == TokenStatus::Active;
                must!(!active_only || token.active_until.is_some(), "an active token has no end");
            }
            Change::Queue(queue) => next = Some(queue.next_sequence),
            _ => {}
        }
    }
    let given: Vec<u64> = sequences.into_iter().collect();
    let last = given.len() as u64;
    must!(given == (1..=last).collect::<Vec<_>>(), "the sequences are {given:?}");
    must!(next.unwrap_or(1) == last + 1, "the next sequence is {next:?} after {last}");
    let mut joined = 0;
    for case in cases {
        if let (Body::JoinQueue(_), RequestStatus::Succeeded) = (&case.command.body, case.row.status) {
            let sequence = case.outcome["result"]["sequence"].as_u64().unwrap_or(0);
            must!(sequence >= 1 && sequence <= last, "{} was given place {sequence}", case.row.position);
            joined = joined.max(sequence);
        }
    }
    must!(joined <= last, "place {joined} was given and is not there");
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

/// What clients were told is what is so, and the same each time.
fn clients(world: &World, cases: &[Case]) -> Judged {
    let by_id: BTreeMap<RequestId, &Case> = cases.iter().map(|case| (case.row.request_id, case)).collect();
    for asked in world.history.all() {
        let Some(case) = by_id.get(&asked.request_id) else { continue };
        let own = match &case.command.body {
            Body::ChargeWallet(c) => asked.body["amount"] == c.amount,
            Body::DebitWallet(c) => asked.body["amount"] == c.amount,
            _ => true,
        };
        // Whose holds were taken over is nobody else's business.
        let mut result = case.outcome["result"].clone();
        if let Some(members) = result.as_object_mut() {
            members.remove("expired");
        }
        let told = |answer: &crate::history::Answer| {
            answer.status == case.row.status.as_str()
                && answer.code.as_deref() == case.outcome["problem"]["code"].as_str()
                && answer.result == result
                && answer.decided == case.outcome["decided"]
        };
        for answer in &asked.followed {
            must!(told(answer), "{} was told {answer:?}, it is {}", asked.path, case.outcome);
        }
        for answer in &asked.answers {
            let reused = answer.code.as_deref() == Some("idempotency_key_reused");
            must!(
                if own { told(answer) } else { reused },
                "{} with {} was answered {answer:?}, it is {}",
                asked.path,
                asked.body,
                case.outcome
            );
        }
        must!(
            own || asked.rival || world.history.all().iter().any(|a| a.rival && a.request_id == asked.request_id),
            "{} has another body on the log",
            asked.path
        );
    }
    Ok(())
}

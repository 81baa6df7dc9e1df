//! The rows of the store against the models: seats, money, hashes.

use std::collections::BTreeMap;

use turnstile::domain::block::{BlockRow, Counts, PaymentStatus, Reservation, Seat, SeatStatus};
use turnstile::domain::wallet::{self, EntryKind};
use turnstile::domain::{Lane, LanePartition, Row, SeatId, block, queue};
use turnstile::log::{Log, Topic};
use turnstile::store::{Ownership, lane_partitions};
use turnstile::wire;

use super::{Checked, must};
use crate::cluster::Cluster;
use crate::model::bookings::{Block, Booking, Stage};
use crate::model::seats::SeatModel;
use crate::model::wallets::WalletModel;

/// Seats, reservations, payments and counts of every block.
pub fn seats(model: &SeatModel, rows: &[Row]) -> Checked {
    let (mut seats, mut reservations, mut blocks, mut payments) = (0, 0, 0, 0);
    for row in rows {
        let Row::Seats(row) = row else { continue };
        let block = |key: &turnstile::domain::BlockKey| {
            model.blocks.get(&key.to_string()).ok_or_else(|| format!("block {key} was never opened"))
        };
        match row {
            block::Row::Block(row) => {
                blocks += 1;
                check_block(block(&row.key)?, row).map_err(|why| format!("block {}: {why}", row.key))?;
            }
            block::Row::Seat(row) => {
                seats += 1;
                check_seat(block(&row.key)?, row).map_err(|why| format!("seat {}/{}: {why}", row.key, row.id))?;
            }
            block::Row::Reservation(row) => {
                reservations += 1;
                let booking = block(&row.key)?.booking(&row.id.to_string())?;
                check_reservation(booking, row).map_err(|why| format!("reservation {}: {why}", row.id))?;
            }
            block::Row::Payment(row) => {
                payments += 1;
                let booking = block(&row.key)?.booking(&row.reservation_id.to_string())?;
                let own = booking.payment.as_deref() == Some(&row.id.to_string());
                let expected = match booking.stage {
                    _ if !own => PaymentStatus::Failed,
                    Stage::Refunded => PaymentStatus::Refunded,
                    _ => PaymentStatus::Completed,
                };
                let status = row.state.status();
                must!(status == expected, "payment {} is {status}, by the history {expected}", row.id);
                must!(row.amount.get() == booking.amount, "payment {} is of {}", row.id, row.amount);
            }
            block::Row::Section(_) => {}
        }
    }
    let all = |count: fn(&Block) -> usize| model.blocks.values().map(count).sum::<usize>();
    must!(blocks == model.blocks.len(), "{blocks} blocks are stored, {} were opened", model.blocks.len());
    must!(seats == all(|block| block.seats.len()), "{seats} seats are stored");
    must!(reservations == all(|block| block.bookings.len()), "{reservations} reservations are stored");
    must!(payments == model.payments.len(), "{payments} payments are stored");
    Ok(())
}

fn check_block(block: &Block, row: &BlockRow) -> Checked {
    must!(row.terms == block.hall.terms, "its terms are {:?}", row.terms);
    must!(row.cancelled.is_some() == block.cancelled, "cancelled: {:?}", row.cancelled);
    must!(row.sweep_done == block.swept, "sweep done: {}", row.sweep_done);
    let refunds = (row.refunds_due, row.refunds_done);
    must!(
        refunds == (block.refunds_due, block.refunds_done),
        "refunds {refunds:?}, by the history {}",
        block.refunds_due
    );
    must!(row.refunds_due == row.refunds_done, "{} of {} are paid back", row.refunds_done, row.refunds_due);
    // No hold, payment or refund is left at rest.
    must!(row.pending as usize == block.pending(), "{} seats are pending, {} are", row.pending, block.pending());
    must!(row.noted.map(|note| note.version) == block.noted_at, "noted {:?}, not {:?}", row.noted, block.noted_at);
    let companions = block.hall.terms.companions_free_at.filter(|at| *at > row.changed.time);
    must!(row.due_at == companions, "due at {:?}, by the history {companions:?}", row.due_at);
    let counts = recount(block, row.companions_free());
    must!(row.counts == counts.clone().into(), "counts {:?}, a recount gives {counts:?}", row.counts);
    let live = block.bookings.values().filter(|booking| booking.stage.has_seats());
    let taken: usize = live.map(|booking| booking.seats.len()).sum();
    let free: u32 = row.counts.iter().flatten().map(|counts| counts.free).sum();
    must!(free as usize + taken == block.hall.seats(), "{free} free and {taken} taken of {}", block.hall.seats());
    Ok(())
}

fn recount(block: &Block, companions_free: bool) -> Vec<Vec<Counts>> {
    let section = |section: &crate::model::hall::Section| {
        let mut counts = vec![Counts::default(); section.categories.len()];
        for (number, place) in (1..).zip(&section.places) {
            let id = SeatId { section: section.name.parse().expect("a section name"), number };
            if block.seat(&id).booking.is_some() {
                continue;
            }
            let category = section.categories.iter().position(|name| *name == place.category).expect("a category");
            let counts = &mut counts[category];
            counts.free += 1;
            counts.blocked += u32::from(!place.for_sale);
            counts.companions += u32::from(place.for_sale && place.companion_of.is_some() && !companions_free);
        }
        counts
    };
    block.hall.sections.iter().map(section).collect()
}

fn check_seat(block: &Block, row: &Seat) -> Checked {
    let seat = block.seat(&row.id);
    let stage = seat.booking.as_ref().map(|id| block.booking(id).map(|booking| booking.stage)).transpose()?;
    let status = match stage {
        None => SeatStatus::Available,
        Some(Stage::Held) => SeatStatus::Held,
        Some(Stage::Paying) => return Err("it is being paid forever".to_owned()),
        Some(Stage::Confirmed) => SeatStatus::Sold,
        Some(stage) => return Err(format!("its booking is {stage:?}")),
    };
    must!(row.state.status() == status, "it is {}, by the history {status}", row.state.status());
    let reservation = row.state.reservation().map(|id| id.to_string());
    must!(reservation == seat.booking, "it is {reservation:?}'s, by the history {:?}'s", seat.booking);
    let remembered = row.remembered.as_ref().map(|memory| (memory.user_id.to_string(), memory.first_end));
    must!(remembered == seat.remembered, "it remembers {remembered:?}, by the history {:?}", seat.remembered);
    must!(row.checked == seat.checked, "checked at {:?}, by the history {:?}", row.checked, seat.checked);
    Ok(())
}

fn check_reservation(booking: &Booking, row: &Reservation) -> Checked {
    let status = match booking.stage {
        Stage::Held => "HELD",
        Stage::Paying => "PAYING",
        Stage::Confirmed => "CONFIRMED",
        Stage::Expired => "EXPIRED",
        Stage::Cancelled | Stage::Refunding => "CANCELLED",
        Stage::Refunded => "REFUNDED",
    };
    must!(row.state.status().as_str() == status, "it is {}, by the history {status}", row.state.status());
    must!(!matches!(booking.stage, Stage::Held | Stage::Paying | Stage::Refunding), "it is {status} forever");
    must!(row.user_id.as_str() == booking.user, "it is {}'s", row.user_id);
    must!(row.by.as_ref().map(ToString::to_string) == booking.by, "it was held by {:?}", row.by);
    must!(row.seats == booking.seats && row.amount.get() == booking.amount, "{:?} for {}", row.seats, row.amount);
    must!(row.expires_at == booking.expires_at && row.held == booking.held, "it ends at {:?}", row.expires_at);
    if let block::ReservationState::Confirmed { serial, payment } = row.state {
        must!(Some(serial) == booking.serial, "its serial is {serial}");
        must!(payment.map(|id| id.to_string()) == booking.payment, "its payment is {payment:?}");
    }
    Ok(())
}

/// Money is conserved, and each wallet is what its history says.
pub fn wallets(model: &WalletModel, rows: &[Row]) -> Checked {
    let (mut sum, mut by_entries) = (0, BTreeMap::<String, i64>::new());
    let (mut answers, mut entries, mut causes) = (0, 0, std::collections::BTreeSet::new());
    for row in rows {
        let Row::Wallets(row) = row else { continue };
        match row {
            wallet::Row::Wallet(row) => {
                let (user, balance) = (row.user_id.as_str(), row.balance.get());
                sum += balance;
                let expected = model.balances.get(user).copied().unwrap_or(0);
                must!(balance == expected, "{user} has {balance}, by the history {expected}");
                must!(model.entries.get(user) == Some(&row.entries), "{user} has {} entries", row.entries);
            }
            wallet::Row::Entry(entry) => {
                entries += 1;
                let sign = if matches!(entry.kind, EntryKind::Charge | EntryKind::Refund) { 1 } else { -1 };
                *by_entries.entry(entry.user_id.to_string()).or_default() += sign * entry.amount.get();
                must!(causes.insert((entry.kind, entry.cause)), "two {} entries of one cause", entry.kind);
            }
            wallet::Row::Answer(answer) => {
                answers += 1;
                let key = (answer.payment_id.to_string(), answer.kind.as_str() == "refund");
                let said = (answer.amount.get(), answer.answer.ok().map(turnstile::domain::Balance::get));
                let expected = model.answers.get(&key).copied();
                must!(expected == Some(said), "payment {} was answered {said:?}, not {expected:?}", answer.payment_id);
            }
        }
    }
    must!(answers == model.answers.len(), "{answers} answers are stored, {} were given", model.answers.len());
    must!(entries == model.entries.values().sum::<u64>(), "{entries} entries are stored");
    must!(by_entries == model.balances, "the entries add up to {by_entries:?}, not to {:?}", model.balances);
    let WalletModel { charged, refunded, paid, debited, .. } = model;
    let expected = charged + refunded - paid - debited;
    must!(sum == expected, "all balances are {sum}, but {charged} + {refunded} - {paid} - {debited} = {expected}");
    Ok(())
}

/// The newest note of each block of the date with a queue.
pub fn newest_notes(model: &SeatModel, cluster: &Cluster) -> BTreeMap<String, Option<u64>> {
    let schedule = cluster.schedules[0];
    let blocks = crate::sale::BLOCKS.iter().map(|name| {
        let block = model.blocks.get(&format!("{schedule}/{name}"));
        ((*name).to_owned(), block.and_then(|block| block.noted_at))
    });
    blocks.collect()
}

/// The hash of each partition is the XOR over its rows.
pub async fn hashes(cluster: &Cluster, rows: &[Row]) -> Checked {
    let mut hashes: BTreeMap<LanePartition, u64> = BTreeMap::new();
    for row in rows {
        let (lane, key) = owner(row);
        let partition = wire::routing::partition_for(&key, cluster.log.partitions().of(Topic::Lane(lane)));
        *hashes.entry(LanePartition { lane, partition }).or_default() ^= row.digest();
    }
    for partition in lane_partitions(cluster.log.partitions()) {
        let progress = cluster.store.progress(partition).await.map_err(|error| error.to_string())?;
        let (found, expected) = (progress.map_or(0, |p| p.state_hash), hashes.get(&partition).copied().unwrap_or(0));
        must!(found == expected, "the hash of {partition} is {found:x}, its rows give {expected:x}");
    }
    Ok(())
}

/// The lane and the routing key of a row.
fn owner(row: &Row) -> (Lane, String) {
    match row {
        Row::Seats(row) => {
            let key = match row {
                block::Row::Block(row) => &row.key,
                block::Row::Section(row) => &row.key,
                block::Row::Seat(row) => &row.key,
                block::Row::Reservation(row) => &row.key,
                block::Row::Payment(row) => &row.key,
            };
            (Lane::Seats, key.to_string())
        }
        Row::Wallets(row) => {
            let user = match row {
                wallet::Row::Wallet(row) => &row.user_id,
                wallet::Row::Entry(row) => &row.user_id,
                wallet::Row::Answer(row) => &row.user_id,
            };
            (Lane::Wallets, user.to_string())
        }
        Row::Queues(queue::Row::Queue(row)) => (Lane::Queues, row.schedule_id.to_string()),
        Row::Queues(queue::Row::Token(row)) => (Lane::Queues, row.schedule_id.to_string()),
    }
}

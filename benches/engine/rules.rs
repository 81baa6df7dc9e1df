//! The rules alone: state, command, time in; decision out, and applied.

use turnstile::domain::block::{self, Block, Choice, HoldSeats, Layout, NewSection, OpenBlock, Terms};
use turnstile::domain::wallet::WalletState;
use turnstile::domain::{
    Aggregate, Amount, Arrival, Asking, BlockKey, Body, Fingerprint, Lane, LogTime, Position, RequestId, ScheduleId,
    SeatId,
};
use uuid::Uuid;

use crate::cpu::Processes;
use crate::measured;
use crate::prepare::charge;

const WALLETS: usize = 1_000;
/// Kept after a commit; more would measure memory.
const COMMIT_EVERY: u64 = 1_000;
pub const SECTION_SEATS: u32 = 1_000;

fn asking(number: u64) -> Asking {
    Asking { request_id: RequestId(Uuid::from_u128(number.into())), fingerprint: Fingerprint(number), by: None }
}

fn arrival(lane: Lane, offset: u64) -> Arrival {
    Arrival { position: Position::new(lane, 0, offset), time: LogTime(offset as i64) }
}

pub async fn charges(count: usize) -> anyhow::Result<()> {
    let commands: Vec<_> = (0..WALLETS)
        .filter_map(|user| match charge(user).body {
            Body::Wallets(command) => Some(command),
            _ => None,
        })
        .collect();
    let mut wallets: Vec<Option<WalletState>> = vec![None; WALLETS];
    let work = async {
        for number in 0..count {
            let (command, wallet) = (&commands[number % WALLETS], &mut wallets[number % WALLETS]);
            let at = arrival(Lane::Wallets, number as u64);
            let decision = WalletState::decide(wallet.as_ref(), command, &asking(number as u64), &at);
            for row in &decision.changes {
                WalletState::apply(wallet, row);
            }
            if let Some(wallet) = wallet {
                wallet.forget((number as u64).saturating_sub(COMMIT_EVERY));
            }
        }
        Ok(())
    };
    measured("rules: charges", count, &Processes::default(), work).await?;
    anyhow::ensure!(wallets.iter().flatten().map(|wallet| wallet.balance().get()).sum::<i64>() == count as i64);
    Ok(())
}

/// Of another seat each.
pub async fn holds(count: usize) -> anyhow::Result<()> {
    let key = BlockKey::main(ScheduleId(Uuid::from_u128(7)));
    let mut block: Option<Block> = None;
    let mut offset = 0;
    let mut decide = |command: block::Command| {
        let at = arrival(Lane::Seats, offset);
        if let Some(block) = &mut block {
            block.advance(at.time);
        }
        let decision = Block::decide(block.as_ref(), &command, &asking(offset), &at);
        for row in &decision.changes {
            Block::apply(&mut block, row);
        }
        offset += 1;
        decision.changes.len()
    };
    decide(opening(&key, count as u32));
    let commands: Vec<_> = (0..count as u32).map(|seat| hold(&key, seat)).collect();
    let work = async {
        for command in commands {
            anyhow::ensure!(decide(command) > 1, "a free seat was refused");
        }
        Ok(())
    };
    measured("rules: holds", count, &Processes::default(), work).await
}

/// Sections `S0`, `S1`, …
pub fn opening(key: &BlockKey, seats: u32) -> block::Command {
    let sections = (0..seats.div_ceil(SECTION_SEATS)).map(|section| {
        let name = format!("S{section}").parse().expect("a name");
        let seats = SECTION_SEATS.min(seats - section * SECTION_SEATS);
        let layout = Layout::plain(seats, &name, Amount::price(1000).expect("a price")).expect("a layout");
        NewSection { name, layout }
    });
    block::Command::OpenBlock(OpenBlock {
        key: key.clone(),
        user_id: "admin".parse().expect("a name"),
        sections: sections.collect(),
        terms: Terms {
            hold_ttl_ms: 86_400_000,
            rehold_after_ms: 0,
            payment_timeout_ms: 60_000,
            max_seats_per_user: 4,
            sales_open_at: None,
            sales_close_at: None,
            starts_at: LogTime(1_000_000_000_000),
            companions_free_at: None,
        },
        queue: false,
    })
}

fn hold(key: &BlockKey, seat: u32) -> block::Command {
    let section = format!("S{}", seat / SECTION_SEATS).parse().expect("a name");
    let choice = Choice::Seats(vec![SeatId { section, number: seat % SECTION_SEATS + 1 }]);
    let user_id = format!("user{seat}").parse().expect("a name");
    block::Command::HoldSeats(HoldSeats { key: key.clone(), user_id, choice, admitted: false })
}

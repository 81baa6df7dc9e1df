//! What a decision on a block costs, whatever the block's size: `cargo bench --bench block`.

use divan::Bencher;
use turnstile::domain::block::{
    self, BestAvailable, Block, CancelReservation, Choice, Command, HoldSeats, Layout, NewSection, OpenBlock, Row,
    Rows, Terms,
};
use turnstile::domain::{
    Aggregate, Amount, Arrival, Asking, BlockKey, Decision, Fingerprint, Lane, LogTime, Position, Reply, RequestId,
    ReservationId, ScheduleId, SeatId, UserId, Verdict,
};
use uuid::Uuid;

/// Seats of a block; sections of up to 1,000.
const SIZES: [u32; 3] = [100, 10_000, 100_000];

fn main() {
    divan::main();
}

/// A block on a log of its own.
struct Hall {
    key: BlockKey,
    block: Option<Block>,
    offset: u64,
    seats: u32,
    next: u32,
}

fn section_name(index: u32) -> String {
    format!("S{index}")
}

impl Hall {
    /// Every third pair of seats is taken, so that free stretches are short.
    fn busy(seats: u32) -> Hall {
        let mut hall = Hall::open(seats);
        for first in (1..seats).step_by(6) {
            let pair = [hall.seat(first), hall.seat(first + 1)];
            hall.hold(Choice::Seats(pair.to_vec()));
        }
        hall
    }

    fn open(seats: u32) -> Hall {
        let key = BlockKey::main(ScheduleId(Uuid::from_u128(7)));
        let mut hall = Hall { key, block: None, offset: 0, seats, next: 0 };
        let open = hall.opening();
        hall.decide(open);
        hall
    }

    fn opening(&self) -> Command {
        let sections = (0..self.seats.div_ceil(1000)).map(|index| {
            let count = (self.seats - index * 1000).min(1000);
            let name = section_name(index);
            let name = name.parse().unwrap();
            let layout = Layout::plain(count, &name, Amount::price(1000).unwrap()).unwrap();
            NewSection { name, layout }
        });
        Command::OpenBlock(OpenBlock {
            key: self.key.clone(),
            user_id: "admin".parse().unwrap(),
            sections: sections.collect(),
            terms: Terms {
                hold_ttl_ms: 86_400_000,
                rehold_after_ms: 0,
                payment_timeout_ms: 60_000,
                max_seats_per_user: 100,
                sales_open_at: None,
                sales_close_at: None,
                starts_at: LogTime(1_000_000_000_000),
                companions_free_at: None,
            },
            queue: false,
        })
    }

    fn seat(&self, number: u32) -> SeatId {
        SeatId { section: section_name((number - 1) / 1000).parse().unwrap(), number: (number - 1) % 1000 + 1 }
    }

    fn decide(&mut self, command: Command) -> Decision<Block> {
        let at = Arrival { position: Position::new(Lane::Seats, 0, self.offset), time: LogTime(self.offset as i64) };
        let asking = Asking {
            request_id: RequestId(Uuid::from_u128(self.offset.into())),
            fingerprint: Fingerprint(self.offset),
            by: None,
        };
        self.offset += 1;
        if let Some(block) = &mut self.block {
            block.advance(at.time);
        }
        let decision = Block::decide(self.block.as_ref(), &command, &asking, &at);
        for row in &decision.changes {
            Block::apply(&mut self.block, row);
        }
        decision
    }

    fn user(&self) -> UserId {
        format!("user{}", self.offset).parse().unwrap()
    }

    fn hold(&mut self, choice: Choice) -> (UserId, ReservationId) {
        let user_id = self.user();
        let hold = HoldSeats { key: self.key.clone(), user_id: user_id.clone(), choice, admitted: false };
        match self.decide(Command::HoldSeats(hold)).verdict {
            Verdict::Decided(Ok(Reply::Seats(block::Reply::Held { reservation, .. }))) => (user_id, reservation.id),
            other => panic!("not held: {other:?}"),
        }
    }

    /// A hold and its cancellation, which leave the block as it was; memory of what ended goes as after a commit.
    fn hold_and_cancel(&mut self, choice: Choice) {
        let (user_id, reservation_id) = self.hold(choice);
        self.decide(Command::CancelReservation(CancelReservation { key: self.key.clone(), user_id, reservation_id }));
        let before = self.offset;
        if let Some(block) = &mut self.block {
            block.forget(before);
        }
    }

    /// A free seat, another one each time.
    fn free_seat(&mut self) -> SeatId {
        self.next = (self.next + 6 * 7) % (self.seats - 6);
        let first = self.next / 6 * 6 + 1;
        self.seat(first + 3)
    }
}

#[divan::bench(args = SIZES)]
fn hold_one_named_seat_and_cancel(bencher: Bencher, seats: u32) {
    let mut hall = Hall::busy(seats);
    bencher.bench_local(|| {
        let seat = hall.free_seat();
        hall.hold_and_cancel(Choice::Seats(vec![seat]));
    });
}

#[divan::bench(args = SIZES)]
fn hold_the_best_two_and_cancel(bencher: Bencher, seats: u32) {
    let mut hall = Hall::busy(seats);
    bencher.bench_local(|| {
        hall.hold_and_cancel(Choice::BestAvailable(BestAvailable { count: 2, section: None, category: None }));
    });
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher, seats: u32) {
    bencher.bench_local(|| Hall::open(seats));
}

/// From rows, every third pair of seats touched.
#[divan::bench(args = SIZES)]
fn load(bencher: Bencher, seats: u32) {
    let rows = rows_of_a_busy_block(seats);
    bencher.with_inputs(|| rows.clone()).bench_local_values(Block::load);
}

fn rows_of_a_busy_block(seats: u32) -> Rows {
    let mut hall = Hall { key: BlockKey::main(ScheduleId(Uuid::from_u128(7))), block: None, offset: 0, seats, next: 0 };
    let mut state: std::collections::BTreeMap<_, Row> = std::collections::BTreeMap::new();
    let mut commands = vec![hall.opening()];
    for first in (1..seats).step_by(6) {
        let choice = Choice::Seats(vec![hall.seat(first), hall.seat(first + 1)]);
        let user_id = format!("user{first}").parse().unwrap();
        commands.push(Command::HoldSeats(HoldSeats { key: hall.key.clone(), user_id, choice, admitted: false }));
    }
    for command in commands {
        state.extend(hall.decide(command).changes.into_iter().map(|row| (Block::row_key(&row), row)));
    }
    let mut rows = Rows {
        block: hall.block.as_ref().unwrap().row().clone(),
        sections: Vec::new(),
        seats: Vec::new(),
        reservations: Vec::new(),
        payments: Vec::new(),
    };
    for row in state.into_values() {
        match row {
            Row::Block(row) => rows.block = row,
            Row::Section(row) => rows.sections.push(row),
            Row::Seat(row) => rows.seats.push(row),
            Row::Reservation(row) => rows.reservations.push(row),
            Row::Payment(row) => rows.payments.push(row),
        }
    }
    rows.sections.sort_by_key(|section| section.rank);
    rows
}

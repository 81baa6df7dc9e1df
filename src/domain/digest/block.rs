//! Digests of the seats lane's rows.

use super::{Bytes, Digest};
use crate::domain::block::{
    BlockRow, Category, LayoutParts, OpenBlock, Payment, PaymentState, Remembered, Reservation, ReservationState, Row,
    SaleNote, Seat, SectionRow, Span, Terms, Waiting,
};
use crate::domain::{Asking, BlockKey, Code, SeatId};

#[cfg(test)]
mod tests;

const BLOCK: u8 = 1;
const SECTION: u8 = 2;
const SEAT: u8 = 3;
const RESERVATION: u8 = 4;
const PAYMENT: u8 = 5;
/// Not a row: what a block was opened with.
const CONTENT: u8 = 9;

impl Digest for Row {
    fn digest(&self) -> u64 {
        match self {
            Row::Block(row) => row.digest(),
            Row::Section(row) => row.digest(),
            Row::Seat(row) => row.digest(),
            Row::Reservation(row) => row.digest(),
            Row::Payment(row) => row.digest(),
        }
    }
}

/// The content of an opening but for who opens: tells a repeat from another opening.
pub(crate) fn content(command: &OpenBlock) -> u64 {
    let OpenBlock { key: block, user_id: _, sections, terms: given, queue } = command;
    let bytes = Bytes::of(CONTENT);
    let bytes = key(bytes, block)
        .list(sections.iter(), |bytes, section| layout(bytes.text(section.name.as_str()), section.layout.parts()));
    terms(bytes, given).flag(*queue).digest()
}

impl Digest for BlockRow {
    fn digest(&self) -> u64 {
        let BlockRow {
            key: block,
            terms: current,
            queue,
            content,
            cancelled,
            swept,
            sweep_done,
            refunds_due,
            refunds_done,
            counts,
            pending,
            noted,
            due_at,
            changed,
        } = self;
        terms(key(Bytes::of(BLOCK), block), current)
            .flag(*queue)
            .u64(*content)
            .option(cancelled.as_ref(), Bytes::arrival)
            .option(*swept, |bytes, id| bytes.uuid(id.0))
            .flag(*sweep_done)
            .u32(*refunds_due)
            .u32(*refunds_done)
            .u64(counts.hash())
            .u32(*pending)
            .option(*noted, |bytes, note| {
                let SaleNote { version, state, sales_open_at, starts_at } = note;
                bytes.u64(version).text(state.as_str()).option(sales_open_at, Bytes::time).time(starts_at)
            })
            .option(*due_at, Bytes::time)
            .arrival(changed)
            .digest()
    }
}

impl Digest for SectionRow {
    fn digest(&self) -> u64 {
        let SectionRow { key: block, name, rank, layout: seats, changed } = self;
        let bytes = key(Bytes::of(SECTION), block).text(name.as_str()).u32(*rank);
        layout(bytes, seats.parts()).arrival(changed).digest()
    }
}

impl Digest for Seat {
    fn digest(&self) -> u64 {
        let Seat { key: block, id, state, remembered, checked, changed } = self;
        seat_id(key(Bytes::of(SEAT), block), id)
            .text(state.status().as_str())
            .option(state.reservation(), |bytes, id| bytes.uuid(id.0))
            .option(remembered.as_ref(), |bytes, remembered| {
                let Remembered { user_id, first_end } = remembered;
                bytes.text(user_id.as_str()).time(*first_end)
            })
            .option(checked.as_ref(), Bytes::arrival)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Reservation {
    fn digest(&self) -> u64 {
        let Reservation { id, key: block, user_id, by, seats, amount, state, expires_at, held, changed } = self;
        let serial = match state {
            ReservationState::Confirmed { serial, .. } => Some(*serial),
            _ => None,
        };
        key(Bytes::of(RESERVATION).uuid(id.0), block)
            .text(user_id.as_str())
            .option(by.as_ref(), |bytes, by| bytes.text(by.as_str()))
            .list(seats.iter(), seat_id)
            .amount(*amount)
            .text(state.status().as_str())
            .option(state.payment(), |bytes, id| bytes.uuid(id.0))
            .option(serial, Bytes::u64)
            .time(*expires_at)
            .arrival(held)
            .arrival(changed)
            .digest()
    }
}

impl Digest for Payment {
    fn digest(&self) -> u64 {
        let Payment { id, key: block, reservation_id, user_id, amount, state, asking: asked, created_at, changed } =
            self;
        let bytes = key(Bytes::of(PAYMENT).uuid(id.0), block).uuid(reservation_id.0).text(user_id.as_str());
        let bytes = payment_state(bytes.amount(*amount), state);
        asking(bytes, asked).time(*created_at).arrival(changed).digest()
    }
}

fn payment_state(bytes: Bytes, state: &PaymentState) -> Bytes {
    // Shown as COMPLETED, so its status alone does not say it.
    let bytes = bytes.text(state.status().as_str());
    let waiting = |bytes: Bytes, waiting: &Waiting| bytes.time(waiting.ask_at).i64(waiting.interval_ms);
    match state {
        PaymentState::Pending(wait) => waiting(bytes, wait),
        PaymentState::Completed | PaymentState::Refunded => bytes,
        PaymentState::Failed(code) => bytes.text(Code::as_str(*code)),
        PaymentState::Refunding { asking: asked, waiting: wait } => {
            waiting(bytes.text("refunding").option(asked.as_ref(), asking), wait)
        }
    }
}

fn key(bytes: Bytes, key: &BlockKey) -> Bytes {
    bytes.uuid(key.schedule_id.0).text(key.block.as_str())
}

fn seat_id(bytes: Bytes, id: &SeatId) -> Bytes {
    let SeatId { section, number } = id;
    bytes.text(section.as_str()).u32(*number)
}

fn asking(bytes: Bytes, asking: &Asking) -> Bytes {
    let Asking { request_id, fingerprint, by } = asking;
    bytes.uuid(request_id.0).u64(fingerprint.0).option(by.as_ref(), |bytes, by| bytes.text(by.as_str()))
}

fn terms(bytes: Bytes, terms: &Terms) -> Bytes {
    let Terms {
        hold_ttl_ms,
        rehold_after_ms,
        payment_timeout_ms,
        max_seats_per_user,
        sales_open_at,
        sales_close_at,
        starts_at,
        companions_free_at,
    } = terms;
    bytes
        .i64(*hold_ttl_ms)
        .i64(*rehold_after_ms)
        .i64(*payment_timeout_ms)
        .u32(*max_seats_per_user)
        .option(*sales_open_at, Bytes::time)
        .option(*sales_close_at, Bytes::time)
        .time(*starts_at)
        .option(*companions_free_at, Bytes::time)
}

fn layout(bytes: Bytes, parts: &LayoutParts) -> Bytes {
    let LayoutParts { seats, runs, categories, category_runs, not_for_sale, wheelchair, companions } = parts;
    let span = |bytes: Bytes, span: &Span| bytes.u32(span.first).u32(span.last);
    bytes
        .u32(*seats)
        .list(runs.iter(), span)
        .list(categories.iter(), |bytes, category| {
            let Category { name, price } = category;
            bytes.text(name.as_str()).amount(*price)
        })
        .list(category_runs.iter(), |bytes, (run, category)| span(bytes, run).u32(u32::from(*category)))
        .list(not_for_sale.iter(), span)
        .list(wheelchair.iter(), span)
        .list(companions.iter(), |bytes, (seat, place)| bytes.u32(*seat).u32(*place))
}

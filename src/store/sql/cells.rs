//! From rows to the domain's types. A row that does not parse is a corrupt store, never a panic.

use uuid::Uuid;

use super::json::{corrupt, parse_headers, parse_topics};
use crate::domain::queue::{Limits, OnTimeout, Queue, Token, TokenStatus};
use crate::domain::section::{Payment, PaymentStatus, Reservation, ReservationStatus, Seat, SeatStatus, SectionRow};
use crate::domain::wallet::{Entry, EntryKind, Wallet};
use crate::domain::{
    Arrival, ConcertId, EntryId, Lane, LogTime, PaymentId, Position, RequestId, ReservationId, ScheduleId, SectionName,
    UserId,
};
use crate::log::{LanePartition, LogIdentity, PartitionCounts};
use crate::store::reads::{Concert, DeadLetterView, ProgressView, Schedule};
use crate::store::{DeadLetter, OutboxRow, Progress, RecordedLog, RequestRow, RequestStatus, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Reads a row's columns by name; each driver's row has it.
pub(in crate::store) trait Cells {
    fn optional_uuid(&self, column: &str) -> Result<Option<Uuid>>;
    fn optional_text(&self, column: &str) -> Result<Option<String>>;
    fn optional_int(&self, column: &str) -> Result<Option<i64>>;
    fn optional_bytes(&self, column: &str) -> Result<Option<Vec<u8>>>;
    fn flag(&self, column: &str) -> Result<bool>;

    fn uuid(&self, column: &str) -> Result<Uuid> {
        self.optional_uuid(column)?.ok_or_else(|| corrupt(column, &"it is null"))
    }

    fn text(&self, column: &str) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| corrupt(column, &"it is null"))
    }

    fn signed(&self, column: &str) -> Result<i64> {
        self.optional_int(column)?.ok_or_else(|| corrupt(column, &"it is null"))
    }

    fn int<N: TryFrom<i64>>(&self, column: &str) -> Result<N> {
        narrow(column, self.signed(column)?)
    }

    fn hash(&self, column: &str) -> Result<u64> {
        Ok(self.signed(column)?.cast_unsigned())
    }

    fn time(&self, column: &str) -> Result<LogTime> {
        Ok(LogTime(self.signed(column)?))
    }

    fn optional_time(&self, column: &str) -> Result<Option<LogTime>> {
        Ok(self.optional_int(column)?.map(LogTime))
    }

    fn parsed<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| corrupt(column, &format!("{text:?} is unknown")))
    }

    fn schedule_id(&self) -> Result<ScheduleId> {
        Ok(ScheduleId(self.uuid("schedule_id")?))
    }

    fn section_name(&self, column: &str) -> Result<SectionName> {
        self.parsed(column, |text| text.parse().ok())
    }

    fn user_id(&self) -> Result<UserId> {
        self.parsed("user_id", |text| text.parse().ok())
    }

    fn lane_partition(&self) -> Result<LanePartition> {
        let lane = self.parsed("lane", |text| text.parse().ok())?;
        Ok(LanePartition { lane, partition: self.int("partition")? })
    }

    fn position(&self) -> Result<Position> {
        Ok(self.lane_partition()?.at(self.int("log_offset")?))
    }

    /// The lane is the one that writes the table.
    fn arrival(&self, lane: Lane, [partition, offset, time]: [&str; 3]) -> Result<Arrival> {
        let position = Position { lane, partition: self.int(partition)?, offset: self.int(offset)? };
        Ok(Arrival { position, time: self.time(time)? })
    }

    fn changed(&self, lane: Lane) -> Result<Arrival> {
        self.arrival(lane, ["changed_partition", "changed_offset", "changed_at"])
    }
}

fn narrow<N: TryFrom<i64>>(column: &str, number: i64) -> Result<N> {
    N::try_from(number).map_err(|_| corrupt(column, &format!("{number} is out of range")))
}

pub(super) fn concert(row: &impl Cells) -> Result<Concert> {
    Ok(Concert {
        id: ConcertId(row.uuid("id")?),
        title: row.text("title")?,
        description: row.optional_text("description")?,
        created_at: row.time("created_at")?,
    })
}

pub(super) fn schedule(row: &impl Cells) -> Result<Schedule> {
    Ok(Schedule {
        id: ScheduleId(row.uuid("id")?),
        concert_id: ConcertId(row.uuid("concert_id")?),
        starts_at: row.time("starts_at")?,
        duration_ms: row.optional_int("duration_ms")?,
        hold_ttl_ms: row.signed("hold_ttl_ms")?,
        max_seats_per_user: row.int("max_seats_per_user")?,
        sales_open_at: row.optional_time("sales_open_at")?,
        queue: row.flag("queue")?,
        created_at: row.time("created_at")?,
    })
}

pub(super) fn section(row: &impl Cells) -> Result<SectionRow> {
    Ok(SectionRow {
        schedule_id: row.schedule_id()?,
        name: row.section_name("name")?,
        seats: row.int("seats")?,
        price: row.signed("price")?,
        hold_ttl_ms: row.signed("hold_ttl_ms")?,
        max_seats_per_user: row.int("max_seats_per_user")?,
        sales_open_at: row.optional_time("sales_open_at")?,
        starts_at: row.time("starts_at")?,
        queue: row.flag("queue")?,
        available: row.int("available")?,
        changed: row.changed(Lane::Seats)?,
    })
}

pub(super) fn seat(row: &impl Cells) -> Result<Seat> {
    Ok(Seat {
        schedule_id: row.schedule_id()?,
        section: row.section_name("section")?,
        number: row.int("number")?,
        status: row.parsed("status", SeatStatus::parse)?,
        reservation: row.optional_uuid("reservation_id")?.map(ReservationId),
        changed: row.changed(Lane::Seats)?,
    })
}

pub(super) fn reservation(row: &impl Cells) -> Result<Reservation> {
    let seats = |text: &str| text.split_terminator(',').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>();
    Ok(Reservation {
        id: ReservationId(row.uuid("id")?),
        schedule_id: row.schedule_id()?,
        section: row.section_name("section")?,
        user_id: row.user_id()?,
        seats: row.parsed("seats", seats)?,
        amount: row.signed("amount")?,
        status: row.parsed("status", ReservationStatus::parse)?,
        expires_at: row.time("expires_at")?,
        payment: row.optional_uuid("payment_id")?.map(PaymentId),
        held: row.arrival(Lane::Seats, ["held_partition", "held_offset", "held_at"])?,
        changed: row.changed(Lane::Seats)?,
    })
}

pub(super) fn payment(row: &impl Cells) -> Result<Payment> {
    let failure = row.optional_text("failure")?;
    let failure = failure.map(|code| code.parse().map_err(|error| corrupt("failure", &error))).transpose()?;
    Ok(Payment {
        id: PaymentId(row.uuid("id")?),
        reservation_id: ReservationId(row.uuid("reservation_id")?),
        user_id: row.user_id()?,
        amount: row.signed("amount")?,
        status: row.parsed("status", PaymentStatus::parse)?,
        failure,
        request_id: RequestId(row.uuid("request_id")?),
        created_at: row.time("created_at")?,
        changed: row.changed(Lane::Seats)?,
    })
}

pub(super) fn wallet(row: &impl Cells) -> Result<Wallet> {
    Ok(Wallet {
        user_id: row.user_id()?,
        balance: row.signed("balance")?,
        entries: row.int("entries")?,
        changed: row.changed(Lane::Wallets)?,
    })
}

pub(super) fn wallet_entry(row: &impl Cells) -> Result<Entry> {
    Ok(Entry {
        id: EntryId(row.uuid("id")?),
        user_id: row.user_id()?,
        number: row.int("number")?,
        kind: row.parsed("kind", EntryKind::parse)?,
        amount: row.signed("amount")?,
        balance_after: row.signed("balance_after")?,
        reason: row.optional_text("reason")?,
        request_id: RequestId(row.uuid("request_id")?),
        at: row.arrival(Lane::Wallets, ["at_partition", "at_offset", "at"])?,
    })
}

pub(super) fn queue(row: &impl Cells) -> Result<Queue> {
    let admit_per_minute = row.optional_int("admit_per_minute")?;
    let limits = Limits {
        max_active: row.int("max_active")?,
        active_ttl_ms: row.signed("active_ttl_ms")?,
        max_waiting: row.int("max_waiting")?,
        admit_per_minute: admit_per_minute.map(|number| narrow("admit_per_minute", number)).transpose()?,
        on_timeout: row.parsed("on_timeout", OnTimeout::parse)?,
        abandon_after_ms: row.signed("abandon_after_ms")?,
    };
    Ok(Queue {
        schedule_id: row.schedule_id()?,
        limits,
        paused: row.flag("paused")?,
        next_sequence: row.int("next_sequence")?,
        waiting: row.int("waiting")?,
        active: row.int("active")?,
        admitted: row.int("admitted_total")?,
        completed: row.int("completed_total")?,
        expired: row.int("expired_total")?,
        left: row.int("left_total")?,
        rate_next_us: row.signed("rate_next_us")?,
        changed: row.changed(Lane::Queues)?,
    })
}

pub(super) fn token(row: &impl Cells) -> Result<Token> {
    Ok(Token {
        schedule_id: row.schedule_id()?,
        sequence: row.int("sequence")?,
        user_id: row.user_id()?,
        status: row.parsed("status", TokenStatus::parse)?,
        joined_at: row.time("joined_at")?,
        admitted_at: row.optional_time("admitted_at")?,
        active_until: row.optional_time("active_until")?,
        last_seen: row.time("last_seen")?,
        changed: row.changed(Lane::Queues)?,
    })
}

pub(super) fn request(row: &impl Cells) -> Result<RequestRow> {
    let user = row.optional_text("user_id")?;
    Ok(RequestRow {
        request_id: RequestId(row.uuid("request_id")?),
        position: row.position()?,
        fingerprint: row.hash("fingerprint")?,
        command: row.text("command")?,
        user_id: user.map(|user| user.parse().map_err(|error| corrupt("user_id", &error))).transpose()?,
        status: row.parsed("status", RequestStatus::parse)?,
        outcome: row.optional_text("outcome")?,
        at: row.time("at")?,
    })
}

pub(super) fn outbox(row: &impl Cells) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.uuid("id")?,
        seq: row.int("seq")?,
        topic: row.parsed("aggregatetype", |text| text.parse().ok())?,
        key: row.text("aggregateid")?,
        kind: row.text("type")?,
        payload: row.optional_bytes("payload")?.unwrap_or_default(),
        headers: parse_headers(&row.text("headers")?)?,
    })
}

pub(super) fn dead_letter(row: &impl Cells) -> Result<DeadLetterView> {
    let letter = DeadLetter {
        position: row.position()?,
        reason: row.text("reason")?,
        key: row.optional_bytes("record_key")?,
        value: row.optional_bytes("record_value")?,
        headers: parse_headers(&row.text("headers")?)?,
        at: row.time("at")?,
    };
    Ok(DeadLetterView { letter, replayed_at: row.optional_time("replayed_at")? })
}

pub(super) fn progress(row: &impl Cells) -> Result<Progress> {
    Ok(Progress {
        epoch: row.int("epoch")?,
        next_offset: row.int("next_offset")?,
        last_time: row.time("last_time")?,
        next_outbox_seq: row.int("next_outbox_seq")?,
        state_hash: row.hash("state_hash")?,
    })
}

pub(super) fn progress_view(row: &impl Cells) -> Result<ProgressView> {
    Ok(ProgressView {
        partition: row.lane_partition()?,
        epoch: row.int("epoch")?,
        owner: row.text("owner")?,
        next_offset: row.int("next_offset")?,
        last_time: row.time("last_time")?,
        outbox_pending: row.int("outbox_pending")?,
    })
}

pub(super) fn held_section(row: &impl Cells) -> Result<(ScheduleId, SectionName, LogTime)> {
    Ok((row.schedule_id()?, row.section_name("section")?, row.time("due")?))
}

pub(super) fn recorded_log(row: &impl Cells) -> Result<RecordedLog> {
    let identity = LogIdentity { log_id: row.text("log_id")?, topics: parse_topics(&row.text("topics")?)? };
    let partitions = PartitionCounts {
        seats: row.int("seats")?,
        wallets: row.int("wallets")?,
        queues: row.int("queues")?,
        outcomes: row.int("outcomes")?,
        dead_letters: row.int("dead_letters")?,
    };
    Ok(RecordedLog { identity, partitions })
}

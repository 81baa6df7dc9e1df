//! The tables, described once for both dialects: columns in the order in which `mapping` gives their values.

/// What a column holds; each dialect has its own name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Uuid,
    Text,
    Int,
    Flag,
    Bytes,
}

/// What to do with a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Repeat {
    /// State: the last write counts.
    Replace,
    /// It cannot be, so the commit is refused.
    Refuse,
    /// The first one stays.
    Keep,
}

#[derive(Debug)]
pub(in crate::store) struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
    pub key: &'static [&'static str],
    pub repeat: Repeat,
}

impl Table {
    /// Column names as in a select list.
    pub fn list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Column names with the table's name before each, for joins.
    pub fn qualified_list(&self) -> String {
        self.columns.iter().map(|(name, _)| format!("{}.{name}", self.name)).collect::<Vec<_>>().join(", ")
    }

    /// `select … from table` with the rest of the query.
    pub fn select(&self, rest: &str) -> String {
        format!("select {} from {} {rest}", self.list(), self.name)
    }

    /// An insert of one row, whose values are the parameters.
    pub fn insert_one(&self) -> String {
        let values: Vec<String> = (1..=self.columns.len()).map(|number| format!("${number}")).collect();
        format!("insert into {} ({}) values ({}) {}", self.name, self.list(), values.join(", "), self.on_conflict())
    }

    /// What ends an insert.
    pub fn on_conflict(&self) -> String {
        let key = self.key.join(", ");
        let others = self.columns.iter().map(|(name, _)| *name).filter(|name| !self.key.contains(name));
        match self.repeat {
            Repeat::Refuse => String::new(),
            Repeat::Keep => format!("on conflict ({key}) do nothing"),
            Repeat::Replace => {
                let set: Vec<String> = others.map(|name| format!("{name} = excluded.{name}")).collect();
                format!("on conflict ({key}) do update set {}", set.join(", "))
            }
        }
    }
}

macro_rules! tables {
    ($($name:ident = $text:literal ($($key:ident),+) $repeat:ident { $($column:ident: $kind:ident,)+ })+) => {$(
        pub(in crate::store) static $name: Table = Table {
            name: $text,
            columns: &[$((stringify!($column), Kind::$kind),)+],
            key: &[$(stringify!($key)),+],
            repeat: Repeat::$repeat,
        };
    )+};
}

// The catalog.
tables! {
    CONCERT = "concert" (id) Keep {
        id: Uuid, title: Text, description: Text, currency: Text, time_zone: Text, created_at: Int,
    }

    SCHEDULE = "schedule" (id) Keep {
        id: Uuid, concert_id: Uuid, starts_at: Int, duration_ms: Int, hold_ttl_ms: Int, max_seats_per_user: Int,
        sales_open_at: Int, sales_close_at: Int, queue: Flag, plan: Text, larger_plan: Text, created_at: Int,
    }

    PLAN = "plan" (id) Keep {
        id: Text, name: Text, sections: Int, seats: Int, created_at: Int, content: Bytes,
    }
}

// Lane seats.
tables! {
    BLOCK = "block" (schedule_id, block) Replace {
        schedule_id: Uuid, block: Text,
        hold_ttl_ms: Int, rehold_after_ms: Int, payment_timeout_ms: Int, max_seats_per_user: Int,
        sales_open_at: Int, sales_close_at: Int, starts_at: Int, companions_free_at: Int,
        queue: Flag, content: Int,
        cancelled_partition: Int, cancelled_offset: Int, cancelled_at: Int,
        swept: Uuid, sweep_done: Flag, refunds_due: Int, refunds_done: Int,
        counts: Text, pending: Int, noted: Text, due_at: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    SECTION = "section" (schedule_id, block, name) Replace {
        schedule_id: Uuid, block: Text, name: Text, rank: Int, layout: Text,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    SEAT = "seat" (schedule_id, block, section, number) Replace {
        schedule_id: Uuid, block: Text, section: Text, number: Int, status: Text, reservation_id: Uuid,
        remembered_user: Text, remembered_end: Int,
        checked_partition: Int, checked_offset: Int, checked_at: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    RESERVATION = "reservation" (id) Replace {
        id: Uuid, schedule_id: Uuid, block: Text, user_id: Text, by_user: Text, seats: Text, amount: Int,
        status: Text, expires_at: Int, payment_id: Uuid, serial: Int,
        held_partition: Int, held_offset: Int, held_at: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    PAYMENT = "payment" (id) Replace {
        id: Uuid, schedule_id: Uuid, block: Text, reservation_id: Uuid, user_id: Text, amount: Int,
        status: Text, failure: Text,
        asking_request: Uuid, asking_fingerprint: Int, asking_by: Text,
        refund_request: Uuid, refund_fingerprint: Int, refund_by: Text,
        ask_at: Int, ask_interval_ms: Int, created_at: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }
}

// Lane wallets.
tables! {
    WALLET = "wallet" (user_id) Replace {
        user_id: Text, balance: Int, entries: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    WALLET_ENTRY = "wallet_entry" (user_id, number) Refuse {
        user_id: Text, number: Int, id: Uuid, kind: Text, amount: Int, balance_after: Int, reason: Text,
        request_id: Uuid, by_user: Text, cause: Uuid,
        at_partition: Int, at_offset: Int, at: Int,
    }

    PAYMENT_ANSWER = "payment_answer" (payment_id, kind, user_id) Refuse {
        payment_id: Uuid, kind: Text, user_id: Text, amount: Int, balance: Int, declined: Text,
        at_partition: Int, at_offset: Int, at: Int,
    }
}

// Lane queues.
tables! {
    QUEUE = "queue" (schedule_id) Replace {
        schedule_id: Uuid,
        max_active: Int, active_ttl_ms: Int, max_waiting: Int, admit_per_minute: Int, on_timeout: Text,
        abandon_after_ms: Int, claim_after_ms: Int, absent_max_ms: Int,
        sales_open_at: Int, starts_at: Int, sale: Text, paused_since: Int,
        presence_ms: Int, presence_at: Int, stood_until: Int, on_sale_ms: Int, on_sale_at: Int,
        next_sequence: Int, waiting: Int, absent: Int, active: Int,
        admitted_total: Int, completed_total: Int, expired_total: Int, left_total: Int,
        rate_next_us: Int, due_at: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }

    QUEUE_TOKEN = "queue_token" (schedule_id, sequence) Replace {
        schedule_id: Uuid, sequence: Int, user_id: Text, status: Text, joined_at: Int,
        admitted_at: Int, active_until: Int, turn_from: Int, turn_used: Flag, absent_since: Int,
        last_seen: Int, sighted: Flag, follows: Int,
        changed_partition: Int, changed_offset: Int, changed_at: Int,
    }
}

// Every lane.
tables! {
    REQUEST = "request" (request_id, internal, lane, partition) Replace {
        request_id: Uuid, internal: Flag, lane: Text, partition: Int, log_offset: Int, fingerprint: Int,
        command: Text, user_id: Text, by_user: Text, status: Text, outcome: Text, decided_at: Int,
        at: Int,
    }

    OUTBOX = "outbox" (lane, partition, seq) Refuse {
        lane: Text, partition: Int, seq: Int, id: Uuid,
        aggregatetype: Text, aggregateid: Text, type: Text, payload: Bytes, headers: Text,
    }

    DEAD_LETTER = "dead_letter" (lane, partition, log_offset) Keep {
        lane: Text, partition: Int, log_offset: Int, unsent_to: Text, reason: Text,
        record_key: Bytes, record_value: Bytes, headers: Text, at: Int,
    }
}

tables! {
    INTERVENTION = "intervention" (id) Replace {
        id: Uuid, lane: Text, partition: Int, log_offset: Int, through: Int, kind: Text, value: Int,
        floor: Int, epoch: Int, reason: Text, by_user: Text, at: Int, applied_at: Int,
    }
}

// Webhooks.
tables! {
    WEBHOOK = "webhook" (id) Replace {
        id: Uuid, name: Text, version: Int, content: Text,
    }

    WEBHOOK_FAILED = "webhook_failed" (webhook_id, event_id) Keep {
        webhook_id: Uuid, event_id: Text, event_type: Text, partition: Int, log_offset: Int, attempts: Int,
        reason: Text, at: Int,
    }

    WEBHOOK_NOTE = "webhook_note" (id) Refuse {
        id: Uuid, name: Text, act: Text, by_user: Text, at: Int,
    }

    PARTITION_EVENT = "partition_event" (seq) Refuse {
        seq: Int, lane: Text, partition: Int, number: Int, change: Text, next_offset: Int, owner: Text, reason: Text,
        at: Int,
    }
}

/// What updates a request that was stored PENDING.
pub(in crate::store) const COMPLETION_COLUMNS: &[(&str, Kind)] = &[
    ("request_id", Kind::Uuid),
    ("lane", Kind::Text),
    ("partition", Kind::Int),
    ("status", Kind::Text),
    ("outcome", Kind::Text),
    ("decided_at", Kind::Int),
];

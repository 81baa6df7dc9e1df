//! The tables that commits write, described once for both dialects: columns in the order `values` gives them.

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

pub(in crate::store) static CONCERT: Table = Table {
    name: "concert",
    columns: &[("id", Kind::Uuid), ("title", Kind::Text), ("description", Kind::Text), ("created_at", Kind::Int)],
    key: &["id"],
    repeat: Repeat::Keep,
};

pub(in crate::store) static SCHEDULE: Table = Table {
    name: "schedule",
    columns: &[
        ("id", Kind::Uuid),
        ("concert_id", Kind::Uuid),
        ("starts_at", Kind::Int),
        ("duration_ms", Kind::Int),
        ("hold_ttl_ms", Kind::Int),
        ("max_seats_per_user", Kind::Int),
        ("sales_open_at", Kind::Int),
        ("queue", Kind::Flag),
        ("created_at", Kind::Int),
    ],
    key: &["id"],
    repeat: Repeat::Keep,
};

pub(in crate::store) static SECTION: Table = Table {
    name: "section",
    columns: &[
        ("schedule_id", Kind::Uuid),
        ("name", Kind::Text),
        ("seats", Kind::Int),
        ("price", Kind::Int),
        ("hold_ttl_ms", Kind::Int),
        ("max_seats_per_user", Kind::Int),
        ("sales_open_at", Kind::Int),
        ("starts_at", Kind::Int),
        ("queue", Kind::Flag),
        ("available", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["schedule_id", "name"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static SEAT: Table = Table {
    name: "seat",
    columns: &[
        ("schedule_id", Kind::Uuid),
        ("section", Kind::Text),
        ("number", Kind::Int),
        ("status", Kind::Text),
        ("reservation_id", Kind::Uuid),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["schedule_id", "section", "number"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static RESERVATION: Table = Table {
    name: "reservation",
    columns: &[
        ("id", Kind::Uuid),
        ("schedule_id", Kind::Uuid),
        ("section", Kind::Text),
        ("user_id", Kind::Text),
        ("seats", Kind::Text),
        ("amount", Kind::Int),
        ("status", Kind::Text),
        ("expires_at", Kind::Int),
        ("payment_id", Kind::Uuid),
        ("held_partition", Kind::Int),
        ("held_offset", Kind::Int),
        ("held_at", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["id"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static PAYMENT: Table = Table {
    name: "payment",
    columns: &[
        ("id", Kind::Uuid),
        ("reservation_id", Kind::Uuid),
        ("user_id", Kind::Text),
        ("amount", Kind::Int),
        ("status", Kind::Text),
        ("failure", Kind::Text),
        ("request_id", Kind::Uuid),
        ("created_at", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["id"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static WALLET: Table = Table {
    name: "wallet",
    columns: &[
        ("user_id", Kind::Text),
        ("balance", Kind::Int),
        ("entries", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["user_id"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static WALLET_ENTRY: Table = Table {
    name: "wallet_entry",
    columns: &[
        ("user_id", Kind::Text),
        ("number", Kind::Int),
        ("id", Kind::Uuid),
        ("kind", Kind::Text),
        ("amount", Kind::Int),
        ("balance_after", Kind::Int),
        ("reason", Kind::Text),
        ("request_id", Kind::Uuid),
        ("at_partition", Kind::Int),
        ("at_offset", Kind::Int),
        ("at", Kind::Int),
    ],
    key: &["user_id", "number"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static QUEUE: Table = Table {
    name: "queue",
    columns: &[
        ("schedule_id", Kind::Uuid),
        ("max_active", Kind::Int),
        ("active_ttl_ms", Kind::Int),
        ("max_waiting", Kind::Int),
        ("admit_per_minute", Kind::Int),
        ("on_timeout", Kind::Text),
        ("abandon_after_ms", Kind::Int),
        ("paused", Kind::Flag),
        ("next_sequence", Kind::Int),
        ("waiting", Kind::Int),
        ("active", Kind::Int),
        ("admitted_total", Kind::Int),
        ("completed_total", Kind::Int),
        ("expired_total", Kind::Int),
        ("left_total", Kind::Int),
        ("rate_next_us", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["schedule_id"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static QUEUE_TOKEN: Table = Table {
    name: "queue_token",
    columns: &[
        ("schedule_id", Kind::Uuid),
        ("sequence", Kind::Int),
        ("user_id", Kind::Text),
        ("status", Kind::Text),
        ("joined_at", Kind::Int),
        ("admitted_at", Kind::Int),
        ("active_until", Kind::Int),
        ("last_seen", Kind::Int),
        ("changed_partition", Kind::Int),
        ("changed_offset", Kind::Int),
        ("changed_at", Kind::Int),
    ],
    key: &["schedule_id", "sequence"],
    repeat: Repeat::Replace,
};

pub(in crate::store) static REQUEST: Table = Table {
    name: "request",
    columns: &[
        ("request_id", Kind::Uuid),
        ("lane", Kind::Text),
        ("partition", Kind::Int),
        ("log_offset", Kind::Int),
        ("fingerprint", Kind::Int),
        ("command", Kind::Text),
        ("user_id", Kind::Text),
        ("status", Kind::Text),
        ("outcome", Kind::Text),
        ("at", Kind::Int),
    ],
    key: &["request_id", "lane", "partition"],
    repeat: Repeat::Refuse,
};

pub(in crate::store) static OUTBOX: Table = Table {
    name: "outbox",
    columns: &[
        ("lane", Kind::Text),
        ("partition", Kind::Int),
        ("seq", Kind::Int),
        ("id", Kind::Uuid),
        ("aggregatetype", Kind::Text),
        ("aggregateid", Kind::Text),
        ("type", Kind::Text),
        ("payload", Kind::Bytes),
        ("headers", Kind::Text),
    ],
    key: &["lane", "partition", "seq"],
    repeat: Repeat::Refuse,
};

pub(in crate::store) static DEAD_LETTER: Table = Table {
    name: "dead_letter",
    columns: &[
        ("lane", Kind::Text),
        ("partition", Kind::Int),
        ("log_offset", Kind::Int),
        ("reason", Kind::Text),
        ("record_key", Kind::Bytes),
        ("record_value", Kind::Bytes),
        ("headers", Kind::Text),
        ("at", Kind::Int),
    ],
    key: &["lane", "partition", "log_offset"],
    repeat: Repeat::Keep,
};

/// What updates a request that was stored PENDING.
pub(in crate::store) const COMPLETION_COLUMNS: &[(&str, Kind)] =
    &[("request_id", Kind::Uuid), ("status", Kind::Text), ("outcome", Kind::Text)];

-- Times are milliseconds since 1970 UTC, as the log says them. Amounts are in the currency's smallest unit.
-- Hashes (fingerprint, state_hash) are 64-bit patterns, so half of them look negative.
-- changed_*: the command that last wrote the row; its lane is the one that owns the table.

-- The catalog: descriptions that the front door writes.
create table concert (
    id blob not null primary key,
    title text not null,
    description text,
    created_at integer not null
) strict;

create table schedule (
    id blob not null primary key,
    concert_id blob not null references concert (id),
    starts_at integer not null,
    duration_ms integer,
    hold_ttl_ms integer not null,
    max_seats_per_user integer not null,
    sales_open_at integer,
    queue integer not null,
    created_at integer not null
) strict;
create index schedule_concert on schedule (concert_id, starts_at, id);

-- Lane seats. No foreign key to schedule: a service may open sections of a schedule the catalog does not describe,
-- and a description that comes late must not stop a partition.
create table section (
    schedule_id blob not null,
    name text not null,
    seats integer not null check (seats > 0),
    price integer not null,
    hold_ttl_ms integer not null,
    max_seats_per_user integer not null,
    sales_open_at integer,
    starts_at integer not null,
    queue integer not null,
    available integer not null check (available between 0 and seats),
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, name)
) strict, without rowid;

create table reservation (
    id blob not null primary key,
    schedule_id blob not null,
    section text not null,
    user_id text not null,
    seats text not null,
    amount integer not null,
    status text not null,
    expires_at integer not null,
    payment_id blob,
    held_partition integer not null,
    held_offset integer not null,
    held_at integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    foreign key (schedule_id, section) references section (schedule_id, name)
) strict;
create index reservation_user on reservation (user_id, id);
create index reservation_section on reservation (schedule_id, section, status);
create index reservation_held on reservation (schedule_id, section, expires_at) where status = 'HELD';

-- reservation.payment_id names the latest payment and has no foreign key: each would need the other first.
create table payment (
    id blob not null primary key,
    reservation_id blob not null references reservation (id),
    user_id text not null,
    amount integer not null,
    status text not null,
    failure text,
    request_id blob not null,
    created_at integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict;
create index payment_user on payment (user_id, id);
create index payment_reservation on payment (reservation_id);

-- seat.reservation_id has no foreign key: checking it, and an index for it, would cost each hold more than it gives a
-- table that one lane writes.
create table seat (
    schedule_id blob not null,
    section text not null,
    number integer not null,
    status text not null,
    reservation_id blob,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, section, number),
    foreign key (schedule_id, section) references section (schedule_id, name),
    check ((status = 'AVAILABLE') = (reservation_id is null))
) strict, without rowid;

-- Lane wallets.
create table wallet (
    user_id text not null primary key,
    balance integer not null check (balance >= 0),
    entries integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict, without rowid;

create table wallet_entry (
    user_id text not null references wallet (user_id),
    number integer not null,
    id blob not null,
    kind text not null,
    amount integer not null check (amount > 0),
    balance_after integer not null check (balance_after >= 0),
    reason text,
    request_id blob not null,
    at_partition integer not null,
    at_offset integer not null,
    at integer not null,
    primary key (user_id, number)
) strict, without rowid;

-- Lane queues.
create table queue (
    schedule_id blob not null primary key,
    max_active integer not null,
    active_ttl_ms integer not null,
    max_waiting integer not null,
    admit_per_minute integer,
    on_timeout text not null,
    abandon_after_ms integer not null,
    paused integer not null,
    next_sequence integer not null,
    waiting integer not null,
    active integer not null,
    admitted_total integer not null,
    completed_total integer not null,
    expired_total integer not null,
    left_total integer not null,
    rate_next_us integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict;

-- With rowid: without it SQLite would rather search a whole queue by its primary key than use the indexes below.
create table queue_token (
    schedule_id blob not null references queue (schedule_id),
    sequence integer not null,
    user_id text not null,
    status text not null,
    joined_at integer not null,
    admitted_at integer,
    active_until integer,
    last_seen integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, sequence)
) strict;
create index queue_token_changed on queue_token (schedule_id, changed_offset, sequence);
create index queue_token_user on queue_token (schedule_id, user_id, sequence);
create index queue_token_live on queue_token (schedule_id, changed_offset, sequence)
    where status in ('WAITING', 'ACTIVE');

-- Every lane.
create table request (
    request_id blob not null,
    lane text not null,
    partition integer not null,
    log_offset integer not null,
    fingerprint integer not null,
    command text not null,
    user_id text,
    status text not null,
    outcome text,
    at integer not null,
    primary key (request_id, lane, partition),
    check ((status = 'PENDING') = (outcome is null))
) strict;
create index request_at on request (at);

-- id, aggregatetype, aggregateid, type and payload are what Debezium's outbox event router reads.
create table outbox (
    lane text not null,
    partition integer not null,
    seq integer not null,
    id blob not null,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload blob not null,
    headers text not null,
    primary key (lane, partition, seq)
) strict;

create table partition_progress (
    lane text not null,
    partition integer not null,
    epoch integer not null,
    owner text not null,
    next_offset integer not null,
    last_time integer not null,
    next_outbox_seq integer not null,
    state_hash integer not null,
    primary key (lane, partition)
) strict, without rowid;

create table dead_letter (
    lane text not null,
    partition integer not null,
    log_offset integer not null,
    reason text not null,
    record_key blob,
    record_value blob,
    headers text not null,
    at integer not null,
    replayed_at integer,
    primary key (lane, partition, log_offset)
) strict;
create index dead_letter_at on dead_letter (at, lane, partition, log_offset);

-- One row: the log this store belongs to.
create table log_identity (
    id integer not null primary key check (id = 1),
    log_id text not null,
    topics text not null,
    seats integer not null,
    wallets integer not null,
    queues integer not null,
    outcomes integer not null,
    dead_letters integer not null
) strict;

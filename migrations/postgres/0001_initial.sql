-- Times are milliseconds since 1970 UTC, as the log says them: to_timestamp(at / 1000.0) shows them. Amounts are in
-- the currency's smallest unit.
-- Hashes (fingerprint, state_hash) are 64-bit patterns, so half of them look negative.
-- changed_*: the command that last wrote the row; its lane is the one that owns the table.

-- The catalog: descriptions that the front door writes.
create table concert (
    id uuid not null primary key,
    title text not null,
    description text,
    created_at bigint not null
);

create table schedule (
    id uuid not null primary key,
    concert_id uuid not null references concert (id),
    starts_at bigint not null,
    duration_ms bigint,
    hold_ttl_ms bigint not null,
    max_seats_per_user bigint not null,
    sales_open_at bigint,
    queue boolean not null,
    created_at bigint not null
);
create index schedule_concert on schedule (concert_id, starts_at, id);

-- Lane seats. No foreign key to schedule: a service may open sections of a schedule the catalog does not describe,
-- and a description that comes late must not stop a partition.
create table section (
    schedule_id uuid not null,
    name text collate "C" not null,
    seats bigint not null check (seats > 0),
    price bigint not null,
    hold_ttl_ms bigint not null,
    max_seats_per_user bigint not null,
    sales_open_at bigint,
    starts_at bigint not null,
    queue boolean not null,
    available bigint not null check (available between 0 and seats),
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, name)
);

create table reservation (
    id uuid not null primary key,
    schedule_id uuid not null,
    section text collate "C" not null,
    user_id text collate "C" not null,
    seats text not null,
    amount bigint not null,
    status text not null,
    expires_at bigint not null,
    payment_id uuid,
    held_partition bigint not null,
    held_offset bigint not null,
    held_at bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    foreign key (schedule_id, section) references section (schedule_id, name)
);
create index reservation_user on reservation (user_id, id);
create index reservation_section on reservation (schedule_id, section, status);
create index reservation_held on reservation (schedule_id, section, expires_at) where status = 'HELD';

-- reservation.payment_id names the latest payment and has no foreign key: each would need the other first.
create table payment (
    id uuid not null primary key,
    reservation_id uuid not null references reservation (id),
    user_id text collate "C" not null,
    amount bigint not null,
    status text not null,
    failure text,
    request_id uuid not null,
    created_at bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);
create index payment_user on payment (user_id, id);
create index payment_reservation on payment (reservation_id);

-- seat.reservation_id has no foreign key: checking it, and an index for it, would cost each hold more than it gives a
-- table that one lane writes.
create table seat (
    schedule_id uuid not null,
    section text collate "C" not null,
    number bigint not null,
    status text not null,
    reservation_id uuid,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, section, number),
    foreign key (schedule_id, section) references section (schedule_id, name),
    check ((status = 'AVAILABLE') = (reservation_id is null))
);

-- Lane wallets.
create table wallet (
    user_id text collate "C" not null primary key,
    balance bigint not null check (balance >= 0),
    entries bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);

create table wallet_entry (
    user_id text collate "C" not null references wallet (user_id),
    number bigint not null,
    id uuid not null,
    kind text not null,
    amount bigint not null check (amount > 0),
    balance_after bigint not null check (balance_after >= 0),
    reason text,
    request_id uuid not null,
    at_partition bigint not null,
    at_offset bigint not null,
    at bigint not null,
    primary key (user_id, number)
);

-- Lane queues.
create table queue (
    schedule_id uuid not null primary key,
    max_active bigint not null,
    active_ttl_ms bigint not null,
    max_waiting bigint not null,
    admit_per_minute bigint,
    on_timeout text not null,
    abandon_after_ms bigint not null,
    paused boolean not null,
    next_sequence bigint not null,
    waiting bigint not null,
    active bigint not null,
    admitted_total bigint not null,
    completed_total bigint not null,
    expired_total bigint not null,
    left_total bigint not null,
    rate_next_us bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);

create table queue_token (
    schedule_id uuid not null references queue (schedule_id),
    sequence bigint not null,
    user_id text collate "C" not null,
    status text not null,
    joined_at bigint not null,
    admitted_at bigint,
    active_until bigint,
    last_seen bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, sequence)
);
create index queue_token_changed on queue_token (schedule_id, changed_offset, sequence);
create index queue_token_user on queue_token (schedule_id, user_id, sequence);
create index queue_token_live on queue_token (schedule_id, changed_offset, sequence)
    where status in ('WAITING', 'ACTIVE');

-- Every lane.
create table request (
    request_id uuid not null,
    lane text collate "C" not null,
    partition bigint not null,
    log_offset bigint not null,
    fingerprint bigint not null,
    command text not null,
    user_id text collate "C",
    status text not null,
    outcome text,
    at bigint not null,
    primary key (request_id, lane, partition),
    check ((status = 'PENDING') = (outcome is null))
);
create index request_at on request (at);

-- id, aggregatetype, aggregateid, type and payload are what Debezium's outbox event router reads.
create table outbox (
    lane text collate "C" not null,
    partition bigint not null,
    seq bigint not null,
    id uuid not null,
    aggregatetype text not null,
    aggregateid text not null,
    type text not null,
    payload bytea not null,
    headers text not null,
    primary key (lane, partition, seq)
);

create table partition_progress (
    lane text collate "C" not null,
    partition bigint not null,
    epoch bigint not null,
    owner text not null,
    next_offset bigint not null,
    last_time bigint not null,
    next_outbox_seq bigint not null,
    state_hash bigint not null,
    primary key (lane, partition)
);

create table dead_letter (
    lane text collate "C" not null,
    partition bigint not null,
    log_offset bigint not null,
    reason text not null,
    record_key bytea,
    record_value bytea,
    headers text not null,
    at bigint not null,
    replayed_at bigint,
    primary key (lane, partition, log_offset)
);
create index dead_letter_at on dead_letter (at, lane, partition, log_offset);

-- One row: the log this store belongs to.
create table log_identity (
    id bigint not null primary key check (id = 1),
    log_id text not null,
    topics text not null,
    seats bigint not null,
    wallets bigint not null,
    queues bigint not null,
    outcomes bigint not null,
    dead_letters bigint not null
);

-- Rows that are updated in place, without touching an index: room on each page lets the update stay there.
alter table partition_progress set (fillfactor = 20);
alter table section set (fillfactor = 50);
alter table queue set (fillfactor = 50);
alter table seat set (fillfactor = 80);
alter table wallet set (fillfactor = 80);
-- Rows come and go within seconds: vacuum by number, not by share, and without pauses.
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0);

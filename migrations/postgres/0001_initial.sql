-- Times are milliseconds since 1970 UTC, as the log says them: to_timestamp(at / 1000.0) shows them. Amounts are in
-- the currency's smallest unit.
-- Hashes (fingerprint, content, state_hash) are 64-bit patterns, so half of them look negative.
-- changed_*: the command that last wrote the row; its lane is the one that owns the table.
-- Texts that are searched or compared have collation "C": names differ byte by byte.
-- Tables that a lane writes have no foreign keys: the owner of a partition is their only writer, and the audit checks.

-- The catalog: descriptions that the front door writes.
create table concert (
    id uuid not null primary key,
    title text not null,
    description text,
    currency text,
    time_zone text,
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
    sales_close_at bigint,
    queue boolean not null,
    plan text collate "C",
    larger_plan text collate "C",
    created_at bigint not null
);
create index schedule_concert on schedule (concert_id, starts_at, id);

-- id: SHA-256 of the content, which is the plan in its canonical form; so a row never changes.
create table plan (
    id text collate "C" not null primary key,
    name text not null,
    sections bigint not null,
    seats bigint not null,
    created_at bigint not null,
    content bytea not null
);
create index plan_created on plan (created_at, id);

-- Lane seats.
-- counts: free seats, as in 120,40 3 1;30. Sections in order of rank by semicolons, their categories by commas; the
-- second and third number are those of the free ones that are not for sale, and companion seats.
-- noted: what the queue was last sent, as JSON.
create table block (
    schedule_id uuid not null,
    block text collate "C" not null,
    hold_ttl_ms bigint not null,
    rehold_after_ms bigint not null,
    payment_timeout_ms bigint not null,
    max_seats_per_user bigint not null,
    sales_open_at bigint,
    sales_close_at bigint,
    starts_at bigint not null,
    companions_free_at bigint,
    queue boolean not null,
    content bigint not null,
    cancelled_partition bigint,
    cancelled_offset bigint,
    cancelled_at bigint,
    swept uuid,
    sweep_done boolean not null,
    refunds_due bigint not null,
    refunds_done bigint not null,
    counts text not null,
    pending bigint not null,
    noted text,
    due_at bigint,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, block)
);
create index block_due on block (changed_partition) where due_at is not null;

-- layout: {"seats":20,"runs":[[1,20]],"categories":[["Front",9000]],"category_runs":[[1,20,0]]} and, if there are any,
-- "not_for_sale", "wheelchair" (spans like runs) and "companions" ([companion seat, wheelchair place]).
create table section (
    schedule_id uuid not null,
    block text collate "C" not null,
    name text collate "C" not null,
    rank bigint not null,
    layout text not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, block, name)
);

-- Only seats that were ever touched have a row.
create table seat (
    schedule_id uuid not null,
    block text collate "C" not null,
    section text collate "C" not null,
    number bigint not null,
    status text not null,
    reservation_id uuid,
    remembered_user text collate "C",
    remembered_end bigint,
    checked_partition bigint,
    checked_offset bigint,
    checked_at bigint,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, block, section, number),
    check ((status = 'AVAILABLE') = (reservation_id is null))
);

-- seats: [["A",[12,13]],["B",[1]]]. payment_id: the one under way, done, or being paid back.
create table reservation (
    id uuid not null primary key,
    schedule_id uuid not null,
    block text collate "C" not null,
    user_id text collate "C" not null,
    by_user text collate "C",
    seats text not null,
    amount bigint not null,
    status text not null,
    expires_at bigint not null,
    payment_id uuid,
    serial bigint,
    held_partition bigint not null,
    held_offset bigint not null,
    held_at bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);
create index reservation_user on reservation (user_id, id);
create index reservation_unfinished on reservation (schedule_id, block, user_id)
    where status in ('HELD', 'PAYING', 'CONFIRMED') or status = 'CANCELLED' and payment_id is not null;

-- asking_*: the pay request that it answers; refund_*: the cancel request that waits for the refund. ask_at: when the
-- wallet is asked again; of a COMPLETED payment it says that the refund is under way.
create table payment (
    id uuid not null primary key,
    schedule_id uuid not null,
    block text collate "C" not null,
    reservation_id uuid not null,
    user_id text collate "C" not null,
    amount bigint not null,
    status text not null,
    failure text,
    asking_request uuid not null,
    asking_fingerprint bigint not null,
    asking_by text collate "C",
    refund_request uuid,
    refund_fingerprint bigint,
    refund_by text collate "C",
    ask_at bigint,
    ask_interval_ms bigint,
    created_at bigint not null,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);
create index payment_user on payment (user_id, id);
create index payment_unfinished on payment (schedule_id, block) where status in ('PENDING', 'COMPLETED');

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
    user_id text collate "C" not null,
    number bigint not null,
    id uuid not null,
    kind text collate "C" not null,
    amount bigint not null check (amount > 0),
    balance_after bigint not null check (balance_after >= 0),
    reason text,
    request_id uuid not null,
    by_user text collate "C",
    cause uuid not null,
    at_partition bigint not null,
    at_offset bigint not null,
    at bigint not null,
    primary key (user_id, number)
);
-- Unique within a wallet, not beyond: two wallets may lie on two partitions, whose owners know nothing of each other,
-- and a request id that a producer uses for both must stop neither.
create unique index wallet_entry_cause on wallet_entry (cause, kind, user_id);

-- The first answer to the debit or refund of a payment, kept for good: the balance after it, or why it was declined.
create table payment_answer (
    payment_id uuid not null,
    kind text collate "C" not null,
    user_id text collate "C" not null,
    amount bigint not null,
    balance bigint,
    declined text,
    at_partition bigint not null,
    at_offset bigint not null,
    at bigint not null,
    primary key (payment_id, kind, user_id),
    check ((balance is null) <> (declined is null))
);

-- Lane queues.
-- sale: the newest note of each block as JSON, null for a block that has sent none.
-- presence_*, stood_until: the presence clock; on_sale_*: time during which seats were on sale.
create table queue (
    schedule_id uuid not null primary key,
    max_active bigint not null,
    active_ttl_ms bigint not null,
    max_waiting bigint not null,
    admit_per_minute bigint,
    on_timeout text not null,
    abandon_after_ms bigint not null,
    claim_after_ms bigint not null,
    absent_max_ms bigint not null,
    sales_open_at bigint,
    starts_at bigint not null,
    sale text not null,
    paused_since bigint,
    presence_ms bigint not null,
    presence_at bigint not null,
    stood_until bigint not null,
    on_sale_ms bigint not null,
    on_sale_at bigint not null,
    next_sequence bigint not null,
    waiting bigint not null,
    absent bigint not null,
    active bigint not null,
    admitted_total bigint not null,
    completed_total bigint not null,
    expired_total bigint not null,
    left_total bigint not null,
    rate_next_us bigint not null,
    due_at bigint,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null
);
create index queue_due on queue (changed_partition) where due_at is not null;

-- turn_from, last_seen: on the presence clock; absent_since: on the clock of the sale.
create table queue_token (
    schedule_id uuid not null,
    sequence bigint not null,
    user_id text collate "C" not null,
    status text not null,
    joined_at bigint not null,
    admitted_at bigint,
    active_until bigint,
    turn_from bigint,
    turn_used boolean not null,
    absent_since bigint,
    last_seen bigint not null,
    sighted boolean not null,
    follows bigint,
    changed_partition bigint not null,
    changed_offset bigint not null,
    changed_at bigint not null,
    primary key (schedule_id, sequence)
);
create index queue_token_changed on queue_token (schedule_id, changed_offset, sequence);
create index queue_token_user on queue_token (schedule_id, user_id, sequence);
create index queue_token_live on queue_token (schedule_id, changed_offset, sequence)
    where status in ('WAITING', 'ABSENT', 'ACTIVE');

-- Every lane.
-- internal: the program's own, whose ids are derived; a client's equal id is another request.
-- at: log time of the command; decided_at: of its decision, which for a payment is its settlement.
create table request (
    request_id uuid not null,
    internal boolean not null,
    lane text collate "C" not null,
    partition bigint not null,
    log_offset bigint not null,
    fingerprint bigint not null,
    command text not null,
    user_id text collate "C",
    by_user text collate "C",
    status text not null,
    outcome text,
    decided_at bigint,
    at bigint not null,
    primary key (request_id, internal, lane, partition),
    check ((status = 'PENDING') = (outcome is null)),
    check ((status = 'PENDING') = (decided_at is null))
);
create index request_decided on request (lane, partition, decided_at) where status <> 'PENDING';

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

-- anchor_*: the last decided record that could be read: offset, the log's own time, hash of key and value.
-- taken_*: the log's end and next_outbox_seq of when the partition was last acquired.
-- published_seq: the log has the outbox rows before it, which are deleted soon.
create table partition_progress (
    lane text collate "C" not null,
    partition bigint not null,
    epoch bigint not null,
    owner text not null,
    next_offset bigint not null,
    last_time bigint not null,
    next_outbox_seq bigint not null,
    state_hash bigint not null,
    anchor_offset bigint,
    anchor_time bigint,
    anchor_hash bigint,
    taken_end bigint,
    taken_seq bigint not null,
    published_seq bigint not null,
    primary key (lane, partition)
);

create table dead_letter (
    lane text collate "C" not null,
    partition bigint not null,
    log_offset bigint not null,
    unsent_to text,
    reason text not null,
    record_key bytea,
    record_value bytea,
    headers text not null,
    at bigint not null,
    replayed_at bigint,
    replayed_by text,
    dismissed_at bigint,
    dismissed_by text,
    primary key (lane, partition, log_offset)
);
create index dead_letter_at on dead_letter (at, lane, partition, log_offset);
-- What retention may delete; the rest stays until an operator has dealt with it.
create index dead_letter_done on dead_letter (lane, partition, log_offset)
    where coalesce(replayed_at, dismissed_at) is not null;
create index dead_letter_open on dead_letter (at) where coalesce(replayed_at, dismissed_at) is null;

-- What operators did about records that stop a partition; never deleted. log_offset and through are both ends of a range;
-- of kind remember, log_offset is the first offset it holds for, floor the log time before which requests do not count any
-- more and epoch that of the owner, once it is applied.
create table intervention (
    id uuid not null primary key,
    lane text collate "C" not null,
    partition bigint not null,
    log_offset bigint,
    through bigint,
    kind text not null,
    value bigint,
    floor bigint,
    epoch bigint,
    reason text not null,
    by_user text not null,
    at bigint not null,
    applied_at bigint
);
create index intervention_partition on intervention (lane, partition, through);

-- What runs, as each process says itself about once a second. seen_at: by the database's clock. Not state.
create table process (
    name text collate "C" not null primary key,
    role text not null,
    host text not null,
    pid bigint not null,
    version text not null,
    address text not null,
    started_at bigint not null,
    status text not null,
    seen_at bigint not null
);

-- One row: what the last audit said. Not state.
create table last_audit (
    id bigint not null primary key check (id = 1),
    at bigint not null,
    took_ms bigint not null,
    records bigint not null,
    compared bigint not null,
    differences bigint not null,
    first_difference text
);

-- Endpoints of webhooks; content is JSON.
create table webhook (
    id uuid not null primary key,
    name text collate "C" not null unique,
    version bigint not null,
    content text not null
);

-- How far each is served: one row an endpoint, content is JSON. Written by the notifier of this epoch alone.
create table webhook_progress (
    webhook_id uuid not null primary key,
    epoch bigint not null,
    content text not null
);

-- Events that were given up.
create table webhook_failed (
    webhook_id uuid not null,
    event_id text collate "C" not null,
    event_type text not null,
    partition bigint not null,
    log_offset bigint not null,
    attempts bigint not null,
    reason text not null,
    at bigint not null,
    primary key (webhook_id, event_id)
);

-- Who wanted what of an endpoint; rows outlive it.
create table webhook_note (
    id uuid not null primary key,
    name text not null,
    act text not null,
    by_user text not null,
    at bigint not null
);

-- What became of partitions, told by webhooks: written by the notifier that leads. number counts the changes of one
-- partition, so that two notifiers say nothing twice.
create table partition_event (
    seq bigint not null primary key,
    lane text collate "C" not null,
    partition bigint not null,
    number bigint not null,
    change text not null,
    next_offset bigint not null,
    owner text not null,
    reason text not null,
    at bigint not null,
    unique (lane, partition, number)
);

-- One row: the notifier that leads. The owner is empty once it has left.
create table notifier (
    id bigint not null primary key check (id = 1),
    epoch bigint not null,
    owner text not null,
    beat bigint not null
);

-- One row: the log this store belongs to.
create table log_identity (
    id bigint not null primary key check (id = 1),
    log_id text not null,
    topics text not null,
    seats bigint not null,
    wallets bigint not null,
    queues bigint not null,
    inbox bigint not null,
    outcomes bigint not null,
    dead_letters bigint not null,
    remember_ms bigint not null
);

-- Rows that are updated in place, without touching an index: room on each page lets the update stay there.
alter table partition_progress set (fillfactor = 20);
alter table block set (fillfactor = 50);
alter table queue set (fillfactor = 50);
alter table seat set (fillfactor = 80);
alter table wallet set (fillfactor = 80);
-- Rows come and go within seconds: vacuum by number, not by share, and without pauses.
alter table outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0);

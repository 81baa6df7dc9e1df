-- Times are milliseconds since 1970 UTC, as the log says them. Amounts are in the currency's smallest unit.
-- Hashes (fingerprint, content, state_hash) are 64-bit patterns, so half of them look negative.
-- changed_*: the command that last wrote the row; its lane is the one that owns the table.
-- Texts compare byte by byte, as SQLite does without more words.
-- Tables that a lane writes have no foreign keys: the owner of a partition is their only writer, and the audit checks.

-- The catalog: descriptions that the front door writes.
create table concert (
    id blob not null primary key,
    title text not null,
    description text,
    currency text,
    time_zone text,
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
    sales_close_at integer,
    queue integer not null,
    plan text,
    larger_plan text,
    created_at integer not null
) strict;
create index schedule_concert on schedule (concert_id, starts_at, id);

-- id: SHA-256 of the content, which is the plan in its canonical form; so a row never changes.
create table plan (
    id text not null primary key,
    name text not null,
    sections integer not null,
    seats integer not null,
    created_at integer not null,
    content blob not null
) strict;
create index plan_created on plan (created_at, id);

-- Lane seats.
-- counts: free seats, as in 120,40 3 1;30. Sections in order of rank by semicolons, their categories by commas; the
-- second and third number are those of the free ones that are not for sale, and companion seats.
-- noted: what the queue was last sent, as JSON.
create table block (
    schedule_id blob not null,
    block text not null,
    hold_ttl_ms integer not null,
    rehold_after_ms integer not null,
    payment_timeout_ms integer not null,
    max_seats_per_user integer not null,
    sales_open_at integer,
    sales_close_at integer,
    starts_at integer not null,
    companions_free_at integer,
    queue integer not null,
    content integer not null,
    cancelled_partition integer,
    cancelled_offset integer,
    cancelled_at integer,
    swept blob,
    sweep_done integer not null,
    refunds_due integer not null,
    refunds_done integer not null,
    counts text not null,
    pending integer not null,
    noted text,
    due_at integer,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, block)
) strict;
create index block_due on block (changed_partition) where due_at is not null;

-- layout: {"seats":20,"runs":[[1,20]],"categories":[["Front",9000]],"category_runs":[[1,20,0]]} and, if there are any,
-- "not_for_sale", "wheelchair" (spans like runs) and "companions" ([companion seat, wheelchair place]).
create table section (
    schedule_id blob not null,
    block text not null,
    name text not null,
    rank integer not null,
    layout text not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, block, name)
) strict;

-- Only seats that were ever touched have a row.
create table seat (
    schedule_id blob not null,
    block text not null,
    section text not null,
    number integer not null,
    status text not null,
    reservation_id blob,
    remembered_user text,
    remembered_end integer,
    checked_partition integer,
    checked_offset integer,
    checked_at integer,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, block, section, number),
    check ((status = 'AVAILABLE') = (reservation_id is null))
) strict, without rowid;

-- seats: [["A",[12,13]],["B",[1]]]. payment_id: the one under way, done, or being paid back.
create table reservation (
    id blob not null primary key,
    schedule_id blob not null,
    block text not null,
    user_id text not null,
    by_user text,
    seats text not null,
    amount integer not null,
    status text not null,
    expires_at integer not null,
    payment_id blob,
    serial integer,
    held_partition integer not null,
    held_offset integer not null,
    held_at integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict;
create index reservation_user on reservation (user_id, id);
create index reservation_unfinished on reservation (schedule_id, block, user_id)
    where status in ('HELD', 'PAYING', 'CONFIRMED') or status = 'CANCELLED' and payment_id is not null;

-- asking_*: the pay request that it answers; refund_*: the cancel request that waits for the refund. ask_at: when the
-- wallet is asked again; of a COMPLETED payment it says that the refund is under way.
create table payment (
    id blob not null primary key,
    schedule_id blob not null,
    block text not null,
    reservation_id blob not null,
    user_id text not null,
    amount integer not null,
    status text not null,
    failure text,
    asking_request blob not null,
    asking_fingerprint integer not null,
    asking_by text,
    refund_request blob,
    refund_fingerprint integer,
    refund_by text,
    ask_at integer,
    ask_interval_ms integer,
    created_at integer not null,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict;
create index payment_user on payment (user_id, id);
create index payment_unfinished on payment (schedule_id, block) where status in ('PENDING', 'COMPLETED');

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
    user_id text not null,
    number integer not null,
    id blob not null,
    kind text not null,
    amount integer not null check (amount > 0),
    balance_after integer not null check (balance_after >= 0),
    reason text,
    request_id blob not null,
    by_user text,
    cause blob not null,
    at_partition integer not null,
    at_offset integer not null,
    at integer not null,
    primary key (user_id, number)
) strict, without rowid;
-- Unique within a wallet, not beyond: two wallets may lie on two partitions, whose owners know nothing of each other,
-- and a request id that a producer uses for both must stop neither.
create unique index wallet_entry_cause on wallet_entry (cause, kind, user_id);

-- The first answer to the debit or refund of a payment, kept for good: the balance after it, or why it was declined.
create table payment_answer (
    payment_id blob not null,
    kind text not null,
    user_id text not null,
    amount integer not null,
    balance integer,
    declined text,
    at_partition integer not null,
    at_offset integer not null,
    at integer not null,
    primary key (payment_id, kind, user_id),
    check ((balance is null) <> (declined is null))
) strict, without rowid;

-- Lane queues.
-- sale: the newest note of each block as JSON, null for a block that has sent none.
-- presence_*, stood_until: the presence clock; on_sale_*: time during which seats were on sale.
create table queue (
    schedule_id blob not null primary key,
    max_active integer not null,
    active_ttl_ms integer not null,
    max_waiting integer not null,
    admit_per_minute integer,
    on_timeout text not null,
    abandon_after_ms integer not null,
    claim_after_ms integer not null,
    absent_max_ms integer not null,
    sales_open_at integer,
    starts_at integer not null,
    sale text not null,
    paused_since integer,
    presence_ms integer not null,
    presence_at integer not null,
    stood_until integer not null,
    on_sale_ms integer not null,
    on_sale_at integer not null,
    next_sequence integer not null,
    waiting integer not null,
    absent integer not null,
    active integer not null,
    admitted_total integer not null,
    completed_total integer not null,
    expired_total integer not null,
    left_total integer not null,
    rate_next_us integer not null,
    due_at integer,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null
) strict;
create index queue_due on queue (changed_partition) where due_at is not null;

-- turn_from, last_seen: on the presence clock; absent_since: on the clock of the sale.
-- With rowid: without it SQLite would rather search a whole queue by its primary key than use the indexes below.
create table queue_token (
    schedule_id blob not null,
    sequence integer not null,
    user_id text not null,
    status text not null,
    joined_at integer not null,
    admitted_at integer,
    active_until integer,
    turn_from integer,
    turn_used integer not null,
    absent_since integer,
    last_seen integer not null,
    sighted integer not null,
    follows integer,
    changed_partition integer not null,
    changed_offset integer not null,
    changed_at integer not null,
    primary key (schedule_id, sequence)
) strict;
create index queue_token_changed on queue_token (schedule_id, changed_offset, sequence);
create index queue_token_user on queue_token (schedule_id, user_id, sequence);
create index queue_token_live on queue_token (schedule_id, changed_offset, sequence)
    where status in ('WAITING', 'ABSENT', 'ACTIVE');

-- Every lane.
-- internal: the program's own, whose ids are derived; a client's equal id is another request.
-- at: log time of the command; decided_at: of its decision, which for a payment is its settlement.
create table request (
    request_id blob not null,
    internal integer not null,
    lane text not null,
    partition integer not null,
    log_offset integer not null,
    fingerprint integer not null,
    command text not null,
    user_id text,
    by_user text,
    status text not null,
    outcome text,
    decided_at integer,
    at integer not null,
    primary key (request_id, internal, lane, partition),
    check ((status = 'PENDING') = (outcome is null)),
    check ((status = 'PENDING') = (decided_at is null))
) strict;
create index request_decided on request (lane, partition, decided_at) where status <> 'PENDING';

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

-- anchor_*: the last decided record that could be read: offset, the log's own time, hash of key and value.
-- taken_*: the log's end and next_outbox_seq of when the partition was last acquired.
-- published_seq: the log has the outbox rows before it, which are deleted soon.
create table partition_progress (
    lane text not null,
    partition integer not null,
    epoch integer not null,
    owner text not null,
    next_offset integer not null,
    last_time integer not null,
    next_outbox_seq integer not null,
    state_hash integer not null,
    anchor_offset integer,
    anchor_time integer,
    anchor_hash integer,
    taken_end integer,
    taken_seq integer not null,
    published_seq integer not null,
    primary key (lane, partition)
) strict, without rowid;

create table dead_letter (
    lane text not null,
    partition integer not null,
    log_offset integer not null,
    unsent_to text,
    reason text not null,
    record_key blob,
    record_value blob,
    headers text not null,
    at integer not null,
    replayed_at integer,
    replayed_by text,
    dismissed_at integer,
    dismissed_by text,
    primary key (lane, partition, log_offset)
) strict;
create index dead_letter_at on dead_letter (at, lane, partition, log_offset);
-- What retention may delete; the rest stays until an operator has dealt with it.
create index dead_letter_done on dead_letter (lane, partition, log_offset)
    where coalesce(replayed_at, dismissed_at) is not null;
create index dead_letter_open on dead_letter (at) where coalesce(replayed_at, dismissed_at) is null;

-- What operators did about records that stop a partition; never deleted. log_offset and through are both ends of a range;
-- of kind remember, log_offset is the first offset it holds for, floor the log time before which requests do not count any
-- more and epoch that of the owner, once it is applied.
create table intervention (
    id blob not null primary key,
    lane text not null,
    partition integer not null,
    log_offset integer,
    through integer,
    kind text not null,
    value integer,
    floor integer,
    epoch integer,
    reason text not null,
    by_user text not null,
    at integer not null,
    applied_at integer
) strict;
create index intervention_partition on intervention (lane, partition, through);

-- What runs, as each process says itself about once a second. seen_at: by the database's clock. Not state.
create table process (
    name text not null primary key,
    role text not null,
    host text not null,
    pid integer not null,
    version text not null,
    address text not null,
    started_at integer not null,
    status text not null,
    seen_at integer not null
) strict, without rowid;

-- One row: what the last audit said. Not state.
create table last_audit (
    id integer not null primary key check (id = 1),
    at integer not null,
    took_ms integer not null,
    records integer not null,
    compared integer not null,
    differences integer not null,
    first_difference text
) strict;

-- Endpoints of webhooks; content is JSON.
create table webhook (
    id blob not null primary key,
    name text not null unique,
    version integer not null,
    content text not null
) strict;

-- How far each is served: one row an endpoint, content is JSON. Written by the notifier of this epoch alone.
create table webhook_progress (
    webhook_id blob not null primary key,
    epoch integer not null,
    content text not null
) strict;

-- Events that were given up.
create table webhook_failed (
    webhook_id blob not null,
    event_id text not null,
    event_type text not null,
    partition integer not null,
    log_offset integer not null,
    attempts integer not null,
    reason text not null,
    at integer not null,
    primary key (webhook_id, event_id)
) strict;

-- Who wanted what of an endpoint; rows outlive it.
create table webhook_note (
    id blob not null primary key,
    name text not null,
    act text not null,
    by_user text not null,
    at integer not null
) strict;

-- What became of partitions, told by webhooks: written by the notifier that leads. number counts the changes of one
-- partition, so that two notifiers say nothing twice.
create table partition_event (
    seq integer not null primary key,
    lane text not null,
    partition integer not null,
    number integer not null,
    change text not null,
    next_offset integer not null,
    owner text not null,
    reason text not null,
    at integer not null,
    unique (lane, partition, number)
) strict;

-- One row: the notifier that leads. The owner is empty once it has left.
create table notifier (
    id integer not null primary key check (id = 1),
    epoch integer not null,
    owner text not null,
    beat integer not null
) strict;

-- One row: the log this store belongs to.
create table log_identity (
    id integer not null primary key check (id = 1),
    log_id text not null,
    topics text not null,
    seats integer not null,
    wallets integer not null,
    queues integer not null,
    inbox integer not null,
    outcomes integer not null,
    dead_letters integer not null,
    remember_ms integer not null
) strict;

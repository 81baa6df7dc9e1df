-- What a rival stores: the rows that Turnstile stores for the same commands, without log positions. Half-empty pages let
-- an update stay on its page (HOT).
create table wallet (
    user_id text collate "C" primary key,
    balance bigint not null check (balance >= 0),
    entries bigint not null,
    version bigint not null default 0
) with (fillfactor = 70);

create table wallet_entry (
    user_id text collate "C" not null,
    number bigint not null,
    id uuid not null,
    kind text collate "C" not null,
    amount bigint not null,
    balance_after bigint not null,
    request_id uuid not null,
    at timestamptz not null default now(),
    primary key (user_id, number)
);

create table seat (
    schedule_id uuid not null,
    section text collate "C" not null,
    number bigint not null,
    price bigint not null,
    status text collate "C" not null default 'AVAILABLE',
    reservation_id uuid,
    user_id text collate "C",
    expires_at timestamptz,
    version bigint not null default 0,
    primary key (schedule_id, section, number)
) with (fillfactor = 70);

create table reservation (
    id uuid primary key,
    schedule_id uuid not null,
    section text collate "C" not null,
    number bigint not null,
    user_id text collate "C" not null,
    amount bigint not null,
    status text collate "C" not null,
    expires_at timestamptz not null,
    version bigint not null default 0
) with (fillfactor = 70);

create table payment (
    id uuid primary key,
    reservation_id uuid not null,
    user_id text collate "C" not null,
    amount bigint not null,
    at timestamptz not null default now()
);

-- A repeat finds its first answer here, refusals too.
create table request (
    request_id uuid primary key,
    command text collate "C" not null,
    user_id text collate "C" not null,
    succeeded boolean not null,
    outcome text not null,
    at timestamptz not null default now()
);

-- The batched procedures: one call decides many commands, in the order of arrival, as sets. Each returns an answer for
-- every command whose request id it sees for the first time in this call.

create function charge_batch(requests uuid[], users text[], amounts bigint[], entry_ids uuid[])
returns table (request_id uuid, succeeded boolean, outcome text) language plpgsql as $$
begin
    insert into wallet (user_id, balance, entries)
        select distinct u, 0, 0 from unnest(users) u
        where not exists (select from wallet w where w.user_id = u)
        on conflict do nothing;
    return query
    with input as materialized (
        select distinct on (i.id) i.* from unnest(requests, users, amounts, entry_ids) with ordinality
            as i(id, user_id, amount, entry_id, ord) order by i.id, i.ord
    ), seen as materialized (
        select r.request_id, r.succeeded, r.outcome from request r where r.request_id = any(requests)
    ), fresh as materialized (
        select * from input i where not exists (select from seen s where s.request_id = i.id)
    ), locked as materialized (
        select w.user_id, w.balance, w.entries from wallet w
        where w.user_id = any(select f.user_id from fresh f) order by w.user_id for no key update
    ), run as materialized (
        select f.*, l.balance + (sum(f.amount) over own)::bigint as balance_after, l.entries + row_number() over own as number
        from fresh f join locked l using (user_id) window own as (partition by f.user_id order by f.ord)
    ), last as (
        select distinct on (run.user_id) run.user_id, run.balance_after, run.number from run
        order by run.user_id, run.number desc
    ), changed as (
        update wallet w set balance = last.balance_after, entries = last.number from last where w.user_id = last.user_id
    ), entered as (
        insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
        select run.user_id, run.number, run.entry_id, 'CHARGE', run.amount, run.balance_after, run.id from run
    ), kept as (
        insert into request (request_id, command, user_id, succeeded, outcome)
        select run.id, 'charge_wallet', run.user_id, true,
            '{"entry_id":"' || run.entry_id || '","balance":' || run.balance_after || ',"amount":' || run.amount || '}'
        from run returning request.request_id, request.succeeded, request.outcome
    )
    select * from kept union all select * from seen;
end $$;

create function hold_batch(requests uuid[], users text[], schedules uuid[], sections text[], numbers bigint[], ids uuid[])
returns table (request_id uuid, succeeded boolean, outcome text) language plpgsql as $$
begin
    return query
    with input as materialized (
        select distinct on (i.id) i.* from unnest(requests, users, schedules, sections, numbers, ids) with ordinality
            as i(id, user_id, schedule_id, section, number, reservation_id, ord) order by i.id, i.ord
    ), seen as materialized (
        select r.request_id, r.succeeded, r.outcome from request r where r.request_id = any(requests)
    ), fresh as materialized (
        select * from input i where not exists (select from seen s where s.request_id = i.id)
    ), firsts as materialized (
        select distinct on (f.schedule_id, f.section, f.number) f.* from fresh f
        order by f.schedule_id, f.section, f.number, f.ord
    ), won as (
        update seat s set status = 'HELD', reservation_id = f.reservation_id, user_id = f.user_id,
            expires_at = now() + interval '5 minutes', version = s.version + 1
        from firsts f where s.schedule_id = f.schedule_id and s.section = f.section and s.number = f.number
            and (s.status = 'AVAILABLE' or s.status = 'HELD' and s.expires_at < now())
        returning f.id, s.price
    ), reserved as (
        insert into reservation (id, schedule_id, section, number, user_id, amount, status, expires_at)
        select f.reservation_id, f.schedule_id, f.section, f.number, f.user_id, won.price, 'HELD',
            now() + interval '5 minutes'
        from won join firsts f on f.id = won.id
    ), kept as (
        insert into request (request_id, command, user_id, succeeded, outcome)
        select f.id, 'hold_seats', f.user_id, won.id is not null,
            case when won.id is null then 'seat_taken'
            else '{"reservation_id":"' || f.reservation_id || '","amount":' || won.price || ',"status":"HELD"}' end
        from fresh f left join won on won.id = f.id
        returning request.request_id, request.succeeded, request.outcome
    )
    select * from kept union all select * from seen;
end $$;

-- A payment touches five rows of its own, so there is nothing to share but the transaction.
create function pay_batch(requests uuid[], users text[], reservations uuid[], payment_ids uuid[])
returns table (request_id uuid, succeeded boolean, outcome text) language plpgsql as $$
begin
    for i in 1 .. array_length(requests, 1) loop
        return query select * from pay_one(requests[i], users[i], reservations[i], payment_ids[i]);
    end loop;
end $$;

create function pay_one(asked uuid, payer text, reserved uuid, payment_id uuid)
returns table (request_id uuid, succeeded boolean, outcome text) language plpgsql as $$
begin
    return query select r.request_id, r.succeeded, r.outcome from request r where r.request_id = asked;
    if found then return; end if;
    return query
    with due as materialized (
        select * from reservation v where v.id = reserved and v.user_id = payer and v.status = 'HELD'
            and v.expires_at >= now() for no key update
    ), debited as (
        update wallet w set balance = w.balance - due.amount, entries = w.entries + 1 from due
        where w.user_id = payer and w.balance >= due.amount returning w.balance, w.entries, due.amount
    ), confirmed as (
        update reservation v set status = 'CONFIRMED' from debited where v.id = reserved
    ), sold as (
        update seat s set status = 'SOLD', version = s.version + 1 from due, debited
        where s.schedule_id = due.schedule_id and s.section = due.section and s.number = due.number
    ), entered as (
        insert into wallet_entry (user_id, number, id, kind, amount, balance_after, request_id)
        select payer, d.entries, payment_id, 'PAYMENT', d.amount, d.balance, asked from debited d
    ), paid as (
        insert into payment (id, reservation_id, user_id, amount) select payment_id, reserved, payer, d.amount from debited d
    ), kept as (
        insert into request (request_id, command, user_id, succeeded, outcome)
        select asked, 'pay_reservation', payer, d.balance is not null,
            coalesce('{"payment_id":"' || payment_id || '","amount":' || d.amount || ',"balance":' || d.balance || '}',
                'payment_declined')
        from (values (1)) one left join debited d on true
        returning request.request_id, request.succeeded, request.outcome
    )
    select * from kept;
end $$;

-- A live auction. A bid is a call, checked where it cannot be forged: in the database, with the item's row locked. A
-- trigger notifies every page of it.

create table items (
    id        integer generated always as identity primary key,
    title     text not null,
    about     text not null,
    start     numeric(9, 2) not null check (start > 0),      -- the first bid is at least this, in euros
    step      numeric(9, 2) not null check (step > 0),       -- and each later one is higher by at least this
    lasts     interval not null default '15 minutes',
    opened_at timestamptz not null default now(),
    ends_at   timestamptz not null
);

create table bids (
    id     bigint generated always as identity primary key,
    item   integer not null references items on delete cascade,
    bidder text not null constraint bidder_is_short check (char_length(btrim(bidder)) between 1 and 40),
    amount numeric(9, 2) not null,
    at     timestamptz not null default clock_timestamp()
);

create index bids_of_an_item on bids (item, amount);


-- An item as pages see it ---------------------------------------------------------------------------------------------

create type lot as (
    id        integer,
    title     text,
    about     text,
    start     numeric,
    least     numeric,      -- the smallest bid accepted now
    opened_at timestamptz,
    ends_at   timestamptz,
    now       timestamptz,  -- by the database's clock: a visitor's may be wrong
    bids      json          -- [{"bidder", "amount", "at"}], the last 60, the oldest first
);

create function lot(item items) returns lot
    language sql stable
    set search_path = public, pg_temp
as $$
    select
        item.id, item.title, item.about, item.start,
        coalesce((select max(b.amount) + item.step from bids b where b.item = item.id), item.start),
        item.opened_at, item.ends_at, now(),
        coalesce(
            (
                select json_agg(json_build_object('bidder', b.bidder, 'amount', b.amount, 'at', b.at) order by b.amount)
                from (select * from bids where bids.item = lot.item.id order by amount desc limit 60) as b
            ),
            '[]'
        )
$$;


-- Notifications -------------------------------------------------------------------------------------------------------

-- The number of the item that has changed. A whole lot could exceed the 7,999 bytes of a NOTIFY, so pages read it.
-- Equal notifications of one transaction arrive once, so a bid that also extends the auction sends one event.
create function tell_item() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    perform pg_notify('auction', json_build_object('item', (to_jsonb(new) ->> tg_argv[0])::integer)::text);
    return null;
end
$$;

create trigger items_tell
    after insert or update on items
    for each row
    execute function tell_item('id');

create trigger bids_tell
    after insert on bids
    for each row
    execute function tell_item('item');


-- Functions for pages -------------------------------------------------------------------------------------------------

create function list_lots() returns setof lot
    language sql stable
    set search_path = public, pg_temp
as $$
    select lot(i) from items i order by i.id
$$;

comment on function list_lots() is 'Every item with its bids.';

create function read_lot(item integer) returns lot
    language sql stable
    set search_path = public, pg_temp
as $$
    select lot(i) from items i where i.id = read_lot.item
$$;

comment on function read_lot(integer) is 'One item with its bids; null if there is none.';

-- FOR UPDATE makes the bids on one item wait for each other, so that each sees the one before it. A bid that waited may
-- come too late: hence clock_timestamp(), where now() would be the time at which the call began.
--
-- Each refusal that a bidder can react to has its own SQLSTATE, which reaches the page as error.data.sqlstate.
create function place_bid(item integer, bidder text, amount numeric) returns bids
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    on_sale items;
    highest bids;
    least_bid numeric;
    made bids;
begin
    select * into on_sale from items i where i.id = place_bid.item for update;
    if not found then
        raise exception 'There is no item %.', place_bid.item using errcode = 'AU001';
    end if;
    if clock_timestamp() >= on_sale.ends_at then
        raise exception 'The auction of "%" has ended.', on_sale.title using errcode = 'AU002';
    end if;
    select * into highest from bids b where b.item = on_sale.id order by b.amount desc limit 1;
    least_bid := coalesce(highest.amount + on_sale.step, on_sale.start);
    if place_bid.amount < least_bid then
        raise exception 'A bid of % is too low.', place_bid.amount
            using errcode = 'AU003', hint = format('Bid at least %s.', least_bid);
    end if;
    if highest.bidder = btrim(place_bid.bidder) then
        raise exception 'You have the highest bid already.' using errcode = 'AU004';
    end if;

    insert into bids (item, bidder, amount)
    values (on_sale.id, btrim(place_bid.bidder), place_bid.amount)
    returning * into made;
    -- Nobody wins by bidding last: after every bid at least ten seconds remain.
    update items i
    set ends_at = clock_timestamp() + interval '10 seconds'
    where i.id = on_sale.id and i.ends_at < clock_timestamp() + interval '10 seconds';
    return made;
end
$$;

comment on function place_bid(integer, text, numeric)
    is 'Bids on an item. AU001: no such item. AU002: ended. AU003: too low. AU004: the highest bid is your own.';

create function open_again(item integer) returns void
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    update items i
    set opened_at = clock_timestamp(), ends_at = clock_timestamp() + i.lasts
    where i.id = open_again.item and i.ends_at <= clock_timestamp();
    if not found then
        raise exception 'This auction is not over.' using errcode = 'AU005';
    end if;
    delete from bids b where b.item = open_again.item;
end
$$;

comment on function open_again(integer) is 'Starts the auction of a sold item again, without its old bids.';


-- Something to look at ------------------------------------------------------------------------------------------------

insert into items (title, about, start, step, lasts, opened_at, ends_at) values
    ('Brass telescope', 'Three draws, about 1880, with its leather case.', 80, 5,
        '15 minutes', now() - interval '12 minutes', now() + interval '15 minutes'),
    ('Blue teapot', 'Stoneware, holds a litre. The lid has been mended once.', 15, 1,
        '5 minutes', now() - interval '9 minutes', now() + interval '5 minutes'),
    ('Elephant, sewn', 'Two hundred and seven patches by one pair of hands.', 40, 2,
        '30 minutes', now() - interval '6 minutes', now() + interval '30 minutes');

insert into bids (item, bidder, amount, at)
select item, bidder, amount, now() - ago
from (values
    (1, 'Ada', 80, interval '11 minutes'), (1, 'Edgar', 90, interval '10 minutes'),
    (1, 'Ada', 95, interval '8 minutes'), (1, 'Grace', 120, interval '5 minutes'),
    (1, 'Edgar', 125, interval '4 minutes'), (1, 'Grace', 140, interval '1 minute'),
    (2, 'Linus', 15, interval '7 minutes'), (2, 'Rosalind', 18, interval '2 minutes'),
    (3, 'Rosalind', 40, interval '5 minutes'), (3, 'Ada', 52, interval '3 minutes')
) as seed (item, bidder, amount, ago);

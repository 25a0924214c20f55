-- A chat with rooms: each room has a channel, "chat." and the room's name.
--
-- Sending is a call (send_message), receiving is a channel. No other service is needed.

create table rooms (
    name text primary key
        constraint room_name_is_simple check (name ~ '^[a-z0-9][a-z0-9-]{0,29}$')  -- a channel's name has 63 bytes
);

-- NOTIFY accepts payloads of up to 7,999 bytes. With these limits a message always fits: a character of JSON has at most
-- six bytes (\u0001), so 1,000 of text and 40 of the author's name have at most 6,240, and the rest has about 150.
create table messages (
    id     bigint generated always as identity primary key,
    room   text not null references rooms,
    author text not null constraint author_is_short check (char_length(author) between 1 and 40),
    text   text not null constraint text_is_short check (char_length(text) between 1 and 1000),
    sent   timestamptz not null default now()
);

create index messages_of_a_room on messages (room, id);


-- Notifications -------------------------------------------------------------------------------------------------------

create function tell_message() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    perform pg_notify('chat.' || new.room, to_jsonb(new)::text);
    return null;
end
$$;

create trigger messages_tell
    after insert on messages
    for each row
    execute function tell_message();

create function tell_room() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    perform pg_notify('rooms', new.name);
    return null;
end
$$;

create trigger rooms_tell
    after insert on rooms
    for each row
    execute function tell_room();


-- Functions for pages -------------------------------------------------------------------------------------------------

create function list_rooms() returns setof text
    language sql stable
    set search_path = public, pg_temp
as $$
    select name from rooms order by name
$$;

comment on function list_rooms() is 'The names of all rooms.';

create function open_room(name text) returns void
    language sql
    set search_path = public, pg_temp
as $$
    insert into rooms (name) values (open_room.name) on conflict do nothing
$$;

comment on function open_room(text) is 'Creates a room, unless one of that name exists.';

create function send_message(room text, author text, text text) returns messages
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    sent messages;
begin
    insert into messages (room, author, text)
    values (send_message.room, btrim(send_message.author), btrim(send_message.text))
    returning * into sent;
    return sent;
exception when foreign_key_violation then
    raise exception 'There is no room "%".', send_message.room using errcode = 'no_data_found';
end
$$;

comment on function send_message(text, text, text) is 'Sends a message to everybody who is subscribed to the room.';

create function latest_messages(room text, max_rows integer default 100) returns setof messages
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from (
        select * from messages m
        where m.room = latest_messages.room
        order by id desc
        limit greatest(0, least(max_rows, 500))
    ) as latest
    order by id
$$;

comment on function latest_messages(text, integer) is 'The latest messages of a room, the newest last.';


-- Something to look at ------------------------------------------------------------------------------------------------

insert into rooms (name) values ('lobby'), ('postgresql'), ('garden');

insert into messages (room, author, text, sent) values
    ('lobby', 'Ada', 'Good morning! Is anybody here?', now() - interval '9 minutes'),
    ('lobby', 'Linus', 'Just me, and the coffee machine.', now() - interval '8 minutes'),
    ('lobby', 'Ada', 'Then open this page in a second window: each shows what the other sends.',
        now() - interval '7 minutes'),
    ('postgresql', 'Grace', 'A room is a channel: chat.postgresql is this one.', now() - interval '5 minutes'),
    ('postgresql', 'Edgar', 'So a message is an INSERT, and a trigger notifies the others?', now() - interval '4 minutes'),
    ('postgresql', 'Grace', 'Yes. It does not matter whether this page or psql wrote the row.', now() - interval '3 minutes'),
    ('garden', 'Rosalind', 'The first snowdrops are out.', now() - interval '2 minutes');

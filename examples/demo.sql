-- The demo's database: the SQL that a web page wants behind it, as you would write it for your own tables.
--
--   psql "$DATABASE_URL" --single-transaction --set ON_ERROR_STOP=1 --file examples/demo.sql
--
-- Load it into an empty database, as the owner of that database: no superuser and no extension is needed. Loading it
-- again changes nothing. demo.yaml next to this file lists what a browser may call and subscribe to.
--
-- Two ideas carry everything here:
--
--   a trigger reports what changed:     perform pg_notify('channel', 'payload');
--   a function is what clients call:    create function add(a integer, b integer) ...
--
-- A notification goes out when its transaction commits, and not at all when it rolls back. Two equal ones (same
-- channel, same payload) of one transaction arrive once.
--
-- Each function fixes its search_path, so that the names inside it mean the same for every caller. `pg_temp` is named
-- last because it would otherwise be searched first, and a caller's temporary table could stand in for a real one.


-- A first function ----------------------------------------------------------------------------------------------------

-- No search_path here: a function that carries settings cannot be inlined into the query that calls it.
create or replace function add(a integer, b integer) returns integer
    language sql immutable strict parallel safe
    return a + b;

comment on function add(integer, integer) is 'The sum of two integers.';


-- Notifications that never stop a write -------------------------------------------------------------------------------

-- PostgreSQL refuses a payload of 8000 bytes or more with an error, and an error in a trigger undoes the write that
-- fired it. So a message that is too big is sent as a reference, and clients read the row by its key.
-- The limit counts bytes, not characters: 4000 accented letters have 8000 bytes.
create or replace function notify_json(channel text, message jsonb, reference jsonb) returns void
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    biggest constant integer := 7999;
    payload text := message::text;
begin
    if octet_length(payload) > biggest then
        payload := (reference || '{"truncated": true}')::text;
    end if;
    if octet_length(payload) > biggest then
        payload := '{"truncated": true}';  -- the key itself is too large
    end if;
    perform pg_notify(channel, payload);
end
$$;

comment on function notify_json(text, jsonb, jsonb)
    is 'Sends a message on a channel; if it is too big for NOTIFY, the reference and "truncated": true.';


-- People: one table, two channels -------------------------------------------------------------------------------------

create table if not exists people (
    pk     bigint generated always as identity primary key,
    ts     timestamptz not null default now(),
    name   text not null,
    age    integer constraint people_age_is_possible check (age between 0 and 150),
    height numeric constraint people_height_is_possible check (height >= 0)  -- in metres
);

-- The row as JSON, with what happened to it: {"pk": 1, "name": "Ada", ..., "dml_action": "INSERT"}.
-- The channel is the trigger's argument, so that one function serves both triggers below.
create or replace function notify_person() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    action constant jsonb := jsonb_build_object('dml_action', tg_op);
begin
    perform notify_json(tg_argv[0], to_jsonb(new) || action, jsonb_build_object('pk', new.pk) || action);
    return null;  -- the return value of an AFTER trigger is ignored
end
$$;

comment on function notify_person() is 'Trigger: sends the new row and its dml_action on the channel given.';

-- AFTER rather than BEFORE: by then the row is as it will be stored, whatever other triggers did to it.
create or replace trigger people_notify
    after insert or update on people
    for each row
    execute function notify_person('people');

-- A filter is cheapest in WHEN: PostgreSQL does not call the function for other rows.
create or replace trigger people_notify_tall
    after insert or update on people
    for each row when (new.height >= 2.0)
    execute function notify_person('tall_people');

-- Where a parameter has the name of a column, the function's name before it says which one is meant.
create or replace function insert_person(name text, age integer default null, height numeric default null)
    returns people
    language sql
    set search_path = public, pg_temp
as $$
    insert into people (name, age, height)
    values (insert_person.name, insert_person.age, insert_person.height)
    returning *
$$;

comment on function insert_person(text, integer, numeric) is 'Adds a person (height in metres) and returns the row.';

create or replace function list_people() returns setof people
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from people order by pk
$$;

comment on function list_people() is 'All people, in the order in which they were added.';

-- What a page calls on a table that grows: a filter whose parts may be left out, and a bound.
create or replace function search_people(
    name text default null, min_height numeric default 0, max_rows integer default 20
)
    returns table (pk bigint, person text, age integer, height numeric)
    language sql stable
    set search_path = public, pg_temp
as $$
    select p.pk, p.name, p.age, p.height
    from people p
    where (search_people.name is null or position(lower(search_people.name) in lower(p.name)) > 0)
        and coalesce(p.height, 0) >= coalesce(min_height, 0)
    order by p.name, p.pk
    limit greatest(0, least(coalesce(max_rows, 20), 1000))
$$;

comment on function search_people(text, numeric, integer)
    is 'People whose name contains a text and who are at least so tall, by name.';


-- Tasks: one trigger for insert, update and delete --------------------------------------------------------------------

create table if not exists tasks (
    id      bigint generated always as identity primary key,
    title   text not null,
    done    boolean not null default false,
    due     date,
    created timestamptz not null default now()
);

-- {"table": "tasks", "type": "UPDATE", "row": {...}}: the new row, or the old one of a DELETE, which has no new one.
-- It serves any table; the argument names the column that is its key, if that is not "id".
create or replace function table_update_notify() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    about constant jsonb := jsonb_build_object('table', tg_table_name, 'type', tg_op);
    affected jsonb := to_jsonb(new);
    key constant text := coalesce(tg_argv[0], 'id');
begin
    if tg_op = 'DELETE' then
        affected := to_jsonb(old);
    end if;
    perform notify_json(
        'table_update_notify',
        about || jsonb_build_object('row', affected),
        about || jsonb_build_object('row', jsonb_build_object(key, affected -> key))
    );
    return null;
end
$$;

comment on function table_update_notify() is 'Trigger: sends {"table", "type", "row"} for a table with the key given.';

create or replace trigger tasks_notify
    after insert or update or delete on tasks
    for each row
    execute function table_update_notify('id');

create or replace function list_tasks() returns setof tasks
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from tasks order by done, due nulls last, id
$$;

comment on function list_tasks() is 'All tasks: the open ones first, the most urgent on top.';

create or replace function add_task(title text, due date default null) returns tasks
    language sql
    set search_path = public, pg_temp
as $$
    insert into tasks (title, due) values (add_task.title, add_task.due) returning *
$$;

comment on function add_task(text, date) is 'Adds a task and returns it.';

create or replace function set_task_done(id bigint, done boolean default true) returns tasks
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    task tasks;
begin
    update tasks t set done = set_task_done.done where t.id = set_task_done.id returning t.* into task;
    if not found then
        raise exception 'there is no task %', set_task_done.id
            using errcode = 'no_data_found', hint = 'Perhaps somebody has deleted it: call list_tasks.';
    end if;
    return task;
end
$$;

comment on function set_task_done(bigint, boolean) is 'Marks a task as done, or as not done, and returns it.';

create or replace function delete_task(id bigint) returns boolean
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    delete from tasks t where t.id = delete_task.id;
    return found;
end
$$;

comment on function delete_task(bigint) is 'Deletes a task; false if there was none.';


-- An audit log that notifies of new entries ---------------------------------------------------------------------------

create table if not exists audit_log (
    id         bigint generated always as identity primary key,
    ts         timestamptz not null default now(),
    who        text not null,
    table_name text not null,
    operation  text not null,
    key        jsonb not null,
    before     jsonb,  -- null for an INSERT
    after      jsonb   -- null for a DELETE
);

-- For any table: its arguments are the columns of its key.
--
-- The whole rows stay in the log, and only {"id", "table", "operation", "key"} is sent: the event says that there is
-- something to read, and list_changes (below) reads it for those who may.
--
-- SECURITY DEFINER: who may change a row writes to the log, without being allowed to write anything else into it.
create or replace function record_change() returns trigger
    language plpgsql security definer
    set search_path = public, pg_temp
as $$
declare
    was jsonb;
    becomes jsonb;
    key jsonb;
    entry bigint;
begin
    if tg_op <> 'INSERT' then
        was := to_jsonb(old);
    end if;
    if tg_op <> 'DELETE' then
        becomes := to_jsonb(new);
    end if;
    if was = becomes then
        return null;  -- an UPDATE that changed nothing
    end if;

    select coalesce(jsonb_object_agg(part, coalesce(becomes, was) -> part), '{}') into key from unnest(tg_argv) as part;

    -- In here current_user is this function's owner; the setting "role" still says what SET ROLE chose.
    insert into audit_log (who, table_name, operation, key, before, after)
    values (coalesce(nullif(current_setting('role'), 'none'), session_user), tg_table_name, tg_op, key, was, becomes)
    returning id into entry;

    perform notify_json(
        'record_changes',
        jsonb_build_object('id', entry, 'table', tg_table_name, 'operation', tg_op, 'key', key),
        jsonb_build_object('id', entry)
    );
    return null;
end
$$;

comment on function record_change() is 'Trigger: logs a change and sends its number on channel record_changes.';

create or replace trigger people_record_change
    after insert or update or delete on people
    for each row
    execute function record_change('pk');

create or replace trigger tasks_record_change
    after insert or update or delete on tasks
    for each row
    execute function record_change('id');

-- A page that was disconnected calls this too, with the last id that it knows.
create or replace function list_changes(after_id bigint default 0, max_rows integer default 100)
    returns setof audit_log
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from audit_log
    where id > coalesce(after_id, 0)
    order by id
    limit greatest(0, least(coalesce(max_rows, 100), 1000))
$$;

comment on function list_changes(bigint, integer) is 'The audit log after an id, the oldest entry first.';


-- A chat: rooms are channels, and nothing is stored -------------------------------------------------------------------

-- This function only sends, so an error is the right answer if the message cannot be sent.
create or replace function say(room text, message text) returns void
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    channel constant text := 'room.' || room;
    payload constant text := json_build_object('room', room, 'message', message, 'ts', clock_timestamp());
begin
    if room is null or room !~ '^[^.[:space:]]+$' or octet_length(channel) > 63 then
        raise exception 'not a room name'
            using errcode = 'invalid_parameter_value', hint = 'Up to 58 bytes, with neither dots nor spaces.';
    end if;
    if coalesce(message, '') = '' or octet_length(payload) > 7999 then
        raise exception 'the message is empty or too long'
            using errcode = 'invalid_parameter_value', hint = 'PostgreSQL notifies at most 7999 bytes at a time.';
    end if;
    perform pg_notify(channel, payload);
end
$$;

comment on function say(text, text) is 'Sends a message to everybody who is subscribed to room.<room>.';


-- Two to try things out -----------------------------------------------------------------------------------------------

create or replace function sleep(seconds double precision) returns text
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    perform pg_sleep(seconds);
    return format('slept for %s s', seconds);
end
$$;

comment on function sleep(double precision) is 'Does nothing for some seconds: to try timeouts and cancelling.';

create or replace function raise_error(sqlstate text, message text default 'This is what you asked for')
    returns void
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    if raise_error.sqlstate is null or raise_error.sqlstate !~ '^[0-9A-Z]{5}$' then
        raise exception 'not an SQLSTATE'
            using errcode = 'invalid_parameter_value', hint = 'Five digits or capital letters, such as P0001.';
    end if;
    raise exception using
        errcode = raise_error.sqlstate,
        message = coalesce(raise_error.message, ''),
        detail = format('raise_error was called with SQLSTATE %s.', raise_error.sqlstate),
        hint = 'Detail and hint reach the caller because the function itself raised the error.';
end
$$;

comment on function raise_error(text, text) is 'Fails with the given SQLSTATE: to see what an error looks like.';


-- Sample data ---------------------------------------------------------------------------------------------------------

insert into people (name, age, height)
select * from (values ('Ada', 36, 1.65), ('Linus', 54, 1.77), ('Grace', 85, 1.68), ('Robert', 22, 2.72))
    as seed (name, age, height)
where not exists (select from people);

insert into tasks (title, done)
select * from (values ('Subscribe to table_update_notify', false), ('Load demo.sql', true)) as seed (title, done)
where not exists (select from tasks);

-- A table that pages follow: a trigger sends every change of a row, whether a page or psql made it.

create table people (
    id     integer generated always as identity primary key,
    name   text not null constraint name_is_short check (char_length(btrim(name)) between 1 and 100),
    born   integer constraint born_is_possible check (born between 1 and 9999),
    height numeric(3, 2) constraint height_is_possible check (height > 0)  -- in metres
);


-- Notifications -------------------------------------------------------------------------------------------------------

-- {"table": "people", "type": "UPDATE", "row": {...}}: the new row, or the old one for a DELETE, which has no new row.
-- It works for any table; the channel is the trigger's argument.
--
-- A row of this table has at most about 700 bytes of JSON. NOTIFY accepts up to 7,999; if rows can be longer, send only
-- their key and let the pages read the row.
create function tell_change() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    affected jsonb := case when tg_op = 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
    perform pg_notify(
        tg_argv[0], jsonb_build_object('table', tg_table_name, 'type', tg_op, 'row', affected)::text
    );
    return null;  -- nobody reads what an AFTER trigger returns
end
$$;

-- AFTER, not BEFORE: by then the row is as it will be stored.
create trigger people_tell
    after insert or update or delete on people
    for each row
    execute function tell_change('people');

-- The condition is in WHEN: PostgreSQL does not call the function for other rows.
create trigger people_tell_tall
    after insert or update of height on people
    for each row when (new.height >= 2.0)
    execute function tell_change('tall_people');


-- Functions for pages -------------------------------------------------------------------------------------------------

create function list_people() returns setof people
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from people order by id
$$;

comment on function list_people() is 'All people, in the order in which they were added.';

create function tall_people() returns setof people
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from people where height >= 2.0 order by id
$$;

comment on function tall_people() is 'All people of 2 m and more.';

-- Where a parameter has the name of a column, the function's name before it says which one is meant.
create function add_person(name text, born integer default null, height numeric default null) returns people
    language sql
    set search_path = public, pg_temp
as $$
    insert into people (name, born, height)
    values (btrim(add_person.name), add_person.born, add_person.height)
    returning *
$$;

comment on function add_person(text, integer, numeric) is 'Adds a person (height in metres) and returns the row.';

create function remove_person(id integer) returns boolean
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    delete from people p where p.id = remove_person.id;
    return found;
end
$$;

comment on function remove_person(integer) is 'Removes a person; false if there was none.';


-- Something to look at ------------------------------------------------------------------------------------------------

insert into people (name, born, height) values
    ('Ada', 1815, 1.65),
    ('Grace', 1906, 1.68),
    ('Robert', 1918, 2.72),
    ('Katherine', 1918, 1.70),
    ('Sandy', 1955, 2.31),
    ('Linus', 1969, 1.77);

-- A map of vehicles, one row each. Moving a vehicle updates its row, and a trigger sends its new place to every page.

create type direction as enum ('north', 'east', 'south', 'west');

create table vehicles (
    id      integer generated always as identity primary key,
    name    text not null constraint name_is_short check (char_length(name) between 1 and 40),
    colour  text not null constraint colour_is_hex check (colour ~ '^#[0-9a-f]{6}$'),
    x       integer not null constraint x_is_on_the_map check (x between 0 and 9),  -- crossings, from the west
    y       integer not null constraint y_is_on_the_map check (y between 0 and 6),  -- crossings, from the north
    heading direction not null default 'north'
);


-- Notifications -------------------------------------------------------------------------------------------------------

create function tell_vehicle() returns trigger
    language plpgsql
    set search_path = public, pg_temp
as $$
begin
    perform pg_notify('vehicles', to_jsonb(new)::text);
    return null;
end
$$;

-- An update that changes nothing sends no notification.
create trigger vehicles_tell
    after update on vehicles
    for each row when (old is distinct from new)
    execute function tell_vehicle();


-- Functions for pages -------------------------------------------------------------------------------------------------

create function list_vehicles() returns setof vehicles
    language sql stable
    set search_path = public, pg_temp
as $$
    select * from vehicles order by id
$$;

comment on function list_vehicles() is 'Every vehicle and where it is.';

-- One UPDATE: two pages that press at the same moment move the vehicle twice, because the second waits for the first.
create function move(vehicle integer, direction direction) returns vehicles
    language plpgsql
    set search_path = public, pg_temp
as $$
declare
    moved vehicles;
begin
    update vehicles v
    set
        x = least(9, greatest(0, v.x + case move.direction when 'east' then 1 when 'west' then -1 else 0 end)),
        y = least(6, greatest(0, v.y + case move.direction when 'south' then 1 when 'north' then -1 else 0 end)),
        heading = move.direction
    where v.id = move.vehicle
    returning v.* into moved;
    if not found then
        raise exception 'There is no vehicle %.', move.vehicle using errcode = 'no_data_found';
    end if;
    return moved;
end
$$;

comment on function move(integer, direction) is 'Drives a vehicle to the next crossing; it stops at the edge of the map.';


-- Something to look at ------------------------------------------------------------------------------------------------

insert into vehicles (name, colour, x, y, heading) values
    ('Taxi', '#f2b705', 2, 2, 'east'),
    ('Bus', '#d63d3d', 5, 4, 'north'),
    ('Courier', '#2f7de1', 7, 1, 'west'),
    ('Milk float', '#3aa76d', 1, 5, 'east');

"""Every built-in scalar type and one of each kind that people make, with values of each, and functions that echo them.

Owns the tables and the SQL of them. Must not know how a function is called.
"""

# type -> JSON text of values that come back as they went in
SCALARS: dict[str, list[str]] = {
    "bool": ["true", "false"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "0", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "float4": ["1.5", "-3.4028235e+38"],
    "float8": ["0.1", "1.7976931348623157e+308", "-5e-324"],
    "numeric": ["1.10", "123456789012345678901234567890.123456789", "-0.000000000000000000001", "9" * 100],
    "money": ['"$1,234.50"'],
    "text": ['""', '"a"', '"é\u2028😀</script>"', r'"line\nback\\slash \"quoted\" \u0001"', '"%s %% %(x)s"', '"null"'],
    "varchar": ['"abc"'],
    "char(1)": ['"abc"'],  # PostgreSQL keeps no length in a signature
    '"char"': ['"a"', '""'],
    "name": ['"n"'],
    "bytea": [r'"\\x"', r'"\\x00ff5c"'],
    "bit(1)": ['"101"'],
    "varbit": ['""', '"0110"'],
    "uuid": ['"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
    "date": ['"2024-02-29"', '"0001-01-01"'],
    "timestamp": ['"2024-02-29T23:59:59.123456"', '"2024-02-29T00:00:00"'],
    "timestamptz": ['"2024-02-29T23:59:59.123456+00:00"'],
    "time": ['"23:59:59.123456"', '"24:00:00"'],
    "timetz": ['"23:59:59+00"', '"23:59:59.5-03:30"'],
    "interval": ['"1 year 2 mons 3 days 04:05:06.7"', '"-00:00:01"'],
    "json": [
        "1e400",
        "1.10",
        "-0.0",
        "123456789012345678901234567890123456789012345678901234567890",
        '"text"',
        "true",
        "[]",
        "{}",
        '{"b":1.10,"a":[null,{"x":"é😀"},1E-400]}',
        '[[1],"\\\\x",2]',
    ],
    "jsonb": ["1.10", "100000", "123456789012345678901234567890", '"text"', "false", '{"a": [null, {"x": "é😀"}]}'],
    "jsonpath": ['"$.\\"a\\"[*]"'],
    "inet": ['"192.168.0.1/24"', '"::1"'],
    "cidr": ['"192.168.0.0/24"'],
    "macaddr": ['"08:00:2b:01:02:03"'],
    "macaddr8": ['"08:00:2b:01:02:03:04:05"'],
    "point": ['"(1,2)"'],
    "line": ['"{1,2,3}"'],
    "lseg": ['"[(1,2),(3,4)]"'],
    "box": ['"(3,4),(1,2)"'],
    "path": ['"((1,2),(3,4))"'],
    "polygon": ['"((1,2),(3,4),(5,6))"'],
    "circle": ['"<(1,2),3>"'],
    "tsvector": ["\"'a':1 'b':2\""],
    "tsquery": ["\"'a' & !'b'\""],
    "oid": ['"0"', '"4294967295"'],
    "xid": ['"4294967295"'],
    "xid8": ['"18446744073709551615"'],
    "tid": ['"(0,1)"'],
    "pg_lsn": ['"16/B374D848"'],
    "pg_snapshot": ['"10:20:10,14,15"'],
    "regclass": ['"pg_class"'],
    "regtype": ['"integer"'],
    "regprocedure": ['"sum(integer)"'],
    "regrole": ['"postgres"'],
    "refcursor": ['"c"'],
    "int2vector": ["[1,2]"],
    "int4range": ['"[1,3)"', '"empty"', '"(,)"'],
    "int8range": ['"[1,9223372036854775807)"'],
    "numrange": ['"[1.10,2.20]"'],
    "tsrange": [r'"[\"2024-01-01 00:00:00\",)"'],
    "tstzrange": [r'"[\"2024-01-01 00:00:00+00\",infinity]"'],
    "daterange": ['"[2024-01-01,2024-02-01)"'],
    "int4multirange": ['"{[1,3),[5,7)}"', '"{}"'],
    "datemultirange": ['"{[2024-01-01,2024-02-01)}"'],
    "mood": ['"sad"', '"it\'s \\"fine\\", 100%"', '"\\\\"'],
    "short": ['"abcde"', '""'],
    "even": ["2"],
    "amount": ["1.10"],
    "tags": ['["a","b"]', "[]"],
    "pair": ['{"a":1,"b":"x"}', '{"a":null,"b":null}'],
    "nested": [
        '{"p":{"a":1,"b":"x"},"ps":[{"a":1,"b":null},null],"n":9007199254740993,"m":["sad",null],"when":"2024-01-01"}'
    ],
    "floatrange": ['"[1.5,2.5)"'],
}

MADE = """
create type mood as enum ('sad', 'it''s "fine", 100%%', '\\');
create domain short as varchar(5);
create domain even as int check (value %% 2 = 0);
create domain amount as numeric(6, 2) check (value > 0);
create domain tags as text[] check (array_length(value, 1) < 3 or value = '{}');
create domain must as int not null;
create type pair as (a int, b varchar(3));
create type nested as (p pair, ps pair[], n int8, m mood[], "when" date);
create type floatrange as range (subtype = float8);
create function special() returns json language sql as 'select null::json';
create table kept (id int8 primary key, name varchar(3) not null, gone text, amount amount);
alter table kept drop column gone;
create function echo_kept(a kept) returns kept language sql as 'select a';
create function echo_must(a must) returns must language sql as 'select a';
""".replace("%%", "%")


def slug(of: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in of)


SQL = MADE + "".join(
    f"create function echo_{slug(of)}(a {of}) returns {of} language sql as 'select a';"
    f"create function many_{slug(of)}(a {of}[]) returns {of}[] language plpgsql as 'begin return a; end';"
    for of in SCALARS
)

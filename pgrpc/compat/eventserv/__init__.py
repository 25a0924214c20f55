"""pg_eventserv (https://github.com/CrunchyData/pg_eventserv)."""

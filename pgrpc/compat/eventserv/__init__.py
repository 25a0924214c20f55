"""pg_eventserv (https://github.com/CrunchyData/pg_eventserv): channels at /listen/{channel}."""

-- What a database may hold after 000007: all of 000006.

--! include 000006.sql

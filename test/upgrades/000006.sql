-- What a database may hold after 000006: all of 000005.

--! include 000005.sql

-- What a database may hold after 000005: all of 000004.

--! include 000004.sql

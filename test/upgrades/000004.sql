-- What a database may hold after 000004: all of 000003.

--! include 000003.sql

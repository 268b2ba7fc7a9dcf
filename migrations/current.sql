-- Write the next migration here.

--! include identity.sql
--! include gateway-rights.sql
--! include budget-periods.sql
--! include spending-terms.sql
--! include budget-resolver.sql
--! include spend-counters.sql
--! include spend-reading.sql

-- Of whoever is asking, the view of budget statuses tells it.
drop function if exists app_private.spend_of_member(uuid, uuid, uuid, timestamptz, timestamptz);

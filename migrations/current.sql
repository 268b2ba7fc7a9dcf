-- Write the next migration here.

--! include identity.sql
--! include gateway-rights.sql
--! include budget-periods.sql
--! include spending-terms.sql
--! include budget-resolver.sql
--! include spend-counters.sql
--! include spend-reading.sql
--! include audit-trail.sql

-- The trail looks names up for all rows of a statement at once.
drop function if exists app_private.audited_name(text, uuid);
-- Of whoever is asking, the view of budget statuses tells it.
drop function if exists app_private.spend_of_member(uuid, uuid, uuid, timestamptz, timestamptz);

select
(coalesce(sum(__ai_spend_daily__."cost_micros"), '0'))::text as "0",
(coalesce(sum(__ai_spend_daily__."requests"), '0'))::text as "1",
__ai_spend_daily__."group_id" as "2",
__ai_spend_daily__."model" as "3"
from "app_public"."ai_spend_daily" as __ai_spend_daily__
where
(__ai_spend_daily__."day" < $1::"date") and (__ai_spend_daily__."day" >= $2::"date") and (__ai_spend_daily__."organization_id" = $3::"uuid")
group by __ai_spend_daily__."group_id", __ai_spend_daily__."model";

select
__ai_usage_events__."id" as "0",
to_char(__ai_usage_events__."occurred_at", 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM'::text) as "1",
__ai_usage_events__."model" as "2",
__ai_usage_events__."cost_micros"::text as "3",
__ai_usage_events__."organization_id" as "4"
from "app_public"."ai_usage_events" as __ai_usage_events__
where (__ai_usage_events__."organization_id" = $1::"uuid")
order by __ai_usage_events__."occurred_at" desc, __ai_usage_events__."organization_id" desc, __ai_usage_events__."id" desc, __ai_usage_events__."occurred_at" desc
limit 21;

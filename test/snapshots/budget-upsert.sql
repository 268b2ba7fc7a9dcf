select
__upsert_group_ai_budget__."spend_limit_micros"::text as "0",
__upsert_group_ai_budget__."group_id" as "1"
from "app_public"."upsert_group_ai_budget"($1::"uuid",
$2::"int8") as __upsert_group_ai_budget__;

-- then

select
__groups__."name" as "0"
from "app_public"."groups" as __groups__
where (__groups__."id" = $1::"uuid");

begin

-- then

select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el

-- then

select
__upsert_group_ai_budget__."spend_limit_micros"::text as "0",
__upsert_group_ai_budget__."group_id" as "1"
from "app_public"."upsert_group_ai_budget"($1::"uuid",
$2::"int8") as __upsert_group_ai_budget__;

-- then

commit

-- then

begin

-- then

select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el

-- then

select
__groups__."name" as "0"
from "app_public"."groups" as __groups__
where (__groups__."id" = $1::"uuid");

-- then

commit

begin

-- then

select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el

-- then

select
__delete_group_ai_budget__."spend_limit_micros"::text as "0"
from "app_public"."delete_group_ai_budget"($1::"uuid") as __delete_group_ai_budget__;

-- then

commit

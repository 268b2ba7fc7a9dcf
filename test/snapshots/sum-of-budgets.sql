begin

-- then

select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el

-- then

select
(coalesce(sum(__group_ai_budgets__."spend_limit_micros"), '0'))::text as "0"
from "app_public"."group_ai_budgets" as __group_ai_budgets__;

-- then

commit

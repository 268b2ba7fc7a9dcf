begin

-- then

select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el

-- then

select
__upsert_ai_model_prices__."model" as "0"
from "app_public"."upsert_ai_model_prices"($1::"jsonb") as __upsert_ai_model_prices__;

-- then

commit

select
__delete_group_ai_budget__."spend_limit_micros"::text as "0"
from "app_public"."delete_group_ai_budget"($1::"uuid") as __delete_group_ai_budget__;

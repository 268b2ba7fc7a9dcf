select
(coalesce(sum(__group_ai_budgets__."spend_limit_micros"), '0'))::text as "0"
from "app_public"."group_ai_budgets" as __group_ai_budgets__;

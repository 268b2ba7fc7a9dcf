select
__group_ai_budgets__."spend_limit_micros"::text as "0",
to_char(__group_ai_budgets__."updated_at", 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM'::text) as "1"
from "app_public"."group_ai_budgets" as __group_ai_budgets__
where (__group_ai_budgets__."group_id" = $1::"uuid");

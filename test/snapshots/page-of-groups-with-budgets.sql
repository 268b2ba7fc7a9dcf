select
__groups__."id" as "0",
__groups__."name" as "1",
__group_ai_budgets__."spend_limit_micros"::text as "2"
from "app_public"."groups" as __groups__
left outer join "app_public"."group_ai_budgets" as __group_ai_budgets__
on (
/* WHERE becoming ON */ (__group_ai_budgets__."group_id" = __groups__."id"))
order by __groups__."name" asc, __groups__."id" asc
limit 51;

select
__groups__."name" as "0",
__group_ai_budgets__."spend_limit_micros"::text as "1",
__groups_ai_budget_status__."spent_micros"::text as "2",
__groups_ai_budget_status__."remaining_micros"::text as "3",
__groups_ai_budget_status__."group_id" as "4"
from "app_public"."groups" as __groups__
left outer join "app_public"."group_ai_budgets" as __group_ai_budgets__
on (
/* WHERE becoming ON */ (__group_ai_budgets__."group_id" = __groups__."id"))
left outer join "app_public"."groups_ai_budget_status"(__groups__) as __groups_ai_budget_status__
on TRUE
order by __groups__."name" asc, __groups__."id" asc
limit 50;

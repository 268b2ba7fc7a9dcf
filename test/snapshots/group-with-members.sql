select
__groups__."name" as "0",
array(select array[
__group_members__."organization_id",
__organization_members__."user_id",
__users__."username",
array(select array[
__organization_member_roles__."role"::text
]::text[]
from "app_public"."organization_member_roles" as __organization_member_roles__
where
(__organization_member_roles__."organization_id" = __organization_members__."organization_id") and (__organization_member_roles__."user_id" = __organization_members__."user_id")
order by __organization_member_roles__."organization_id" asc, __organization_member_roles__."user_id" asc, __organization_member_roles__."role" asc)::text
]::text[]
from "app_public"."group_members" as __group_members__
left outer join "app_public"."organization_members" as __organization_members__
on (
/* WHERE becoming ON */
(__organization_members__."organization_id" = __group_members__."organization_id") and (__organization_members__."user_id" = __group_members__."user_id"))
left outer join "app_public"."users" as __users__
on (
/* WHERE becoming ON */ (__users__."id" = __organization_members__."user_id"))
where
(__group_members__."organization_id" = __groups__."organization_id") and (__group_members__."group_id" = __groups__."id")
order by __group_members__."group_id" asc, __group_members__."user_id" asc)::text as "1"
from "app_public"."groups" as __groups__
where (__groups__."id" = $1::"uuid");

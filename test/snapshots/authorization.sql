select
__authorize_ai_spend__."allowed"::text as "0",
__authorize_ai_spend__."reason" as "1",
__authorize_ai_spend__."remaining_micros"::text as "2"
from "app_public"."authorize_ai_spend"($1::"uuid",
$2::"uuid",
$3::"text",
$4::"text",
$5::"int8",
$6::"int8") as __authorize_ai_spend__;

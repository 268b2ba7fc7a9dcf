select
__ai_model_prices__."input_price"::text as "0",
__ai_model_prices__."output_price"::text as "1",
to_char(__ai_model_prices__."created_at", 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM'::text) as "2"
from "app_public"."ai_model_prices" as __ai_model_prices__
where
(__ai_model_prices__."provider" = $1::"text") and (__ai_model_prices__."model" = $2::"text");

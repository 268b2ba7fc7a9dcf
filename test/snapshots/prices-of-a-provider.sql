select
__ai_model_prices__."model" as "0",
__ai_model_prices__."input_price"::text as "1"
from "app_public"."ai_model_prices" as __ai_model_prices__
where (__ai_model_prices__."provider" = $1::"text")
order by __ai_model_prices__."model" asc, __ai_model_prices__."provider" asc, __ai_model_prices__."model" asc
limit 20;

-- then

select
(count(*))::text as "0"
from "app_public"."ai_model_prices" as __ai_model_prices__
where (__ai_model_prices__."provider" = $1::"text");

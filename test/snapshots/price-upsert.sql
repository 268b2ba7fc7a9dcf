select
__upsert_ai_model_prices__."model" as "0"
from "app_public"."upsert_ai_model_prices"($1::"jsonb") as __upsert_ai_model_prices__;

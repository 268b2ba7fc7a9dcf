column app_private.ai_memberships.group_id uuid
column app_private.ai_memberships.organization_id uuid
column app_private.ai_memberships.since timestamp with time zone
column app_private.ai_memberships.until timestamp with time zone
column app_private.ai_memberships.user_id uuid
column app_private.ai_spend_accounts.group_id uuid not null
column app_private.ai_spend_accounts.held_micros numeric(44,6) not null default 0
column app_private.ai_spend_accounts.organization_id uuid not null
column app_private.ai_spend_accounts.swept_until timestamp with time zone not null
column app_private.ai_spend_accounts.user_id uuid not null
column app_private.ai_spend_counters.group_id uuid not null
column app_private.ai_spend_counters.organization_id uuid not null
column app_private.ai_spend_counters.overage_micros numeric(44,6) not null
column app_private.ai_spend_counters.period_end timestamp with time zone not null
column app_private.ai_spend_counters.period_start timestamp with time zone not null
column app_private.ai_spend_counters.spent_micros numeric(44,6) not null
column app_private.ai_spend_counters.user_id uuid not null
column app_private.ai_spend_counting_starts.counted_from timestamp with time zone not null
column app_private.ai_spend_counting_starts.group_id uuid not null
column app_private.ai_spend_counting_starts.organization_id uuid not null
column app_private.ai_spend_requests.cache_read_price bigint
column app_private.ai_spend_requests.cache_write_price bigint
column app_private.ai_spend_requests.content jsonb not null
column app_private.ai_spend_requests.decision jsonb not null
column app_private.ai_spend_requests.estimate_micros numeric(44,6)
column app_private.ai_spend_requests.expires_at timestamp with time zone
column app_private.ai_spend_requests.group_id uuid not null
column app_private.ai_spend_requests.input_price bigint
column app_private.ai_spend_requests.organization_id uuid not null
column app_private.ai_spend_requests.output_price bigint
column app_private.ai_spend_requests.request_id uuid not null
column app_private.ai_spend_requests.requested_at timestamp with time zone not null
column app_private.ai_spend_requests.settlement jsonb
column app_private.ai_spend_requests.state app_private.spend_request_state not null
column app_private.ai_spend_requests.user_id uuid not null
column app_private.ai_spend_terms.applies_to app_public.budget_scope
column app_private.ai_spend_terms.counted_from timestamp with time zone
column app_private.ai_spend_terms.group_id uuid
column app_private.ai_spend_terms.group_name text
column app_private.ai_spend_terms.is_everyone boolean
column app_private.ai_spend_terms.limit_micros bigint
column app_private.ai_spend_terms.organization_id uuid
column app_private.ai_spend_terms.period app_public.budget_period
column app_private.ai_spend_terms.time_zone text
column app_private.ai_usage_event_keys.id uuid not null
column app_private.ai_usage_event_keys.occurred_at timestamp with time zone not null
column app_private.ai_usage_event_keys.organization_id uuid not null
column app_private.ai_usage_events_unplaced.cache_read_price bigint
column app_private.ai_usage_events_unplaced.cache_read_tokens bigint not null
column app_private.ai_usage_events_unplaced.cache_write_price bigint
column app_private.ai_usage_events_unplaced.cache_write_tokens bigint not null
column app_private.ai_usage_events_unplaced.cost_micros numeric(44,6)
column app_private.ai_usage_events_unplaced.group_id uuid not null
column app_private.ai_usage_events_unplaced.id uuid not null
column app_private.ai_usage_events_unplaced.input_price bigint
column app_private.ai_usage_events_unplaced.input_tokens bigint not null
column app_private.ai_usage_events_unplaced.model text not null
column app_private.ai_usage_events_unplaced.occurred_at timestamp with time zone not null
column app_private.ai_usage_events_unplaced.organization_id uuid not null
column app_private.ai_usage_events_unplaced.output_price bigint
column app_private.ai_usage_events_unplaced.output_tokens bigint not null
column app_private.ai_usage_events_unplaced.overage_micros numeric(44,6)
column app_private.ai_usage_events_unplaced.provider text not null
column app_private.ai_usage_events_unplaced.recorded_at timestamp with time zone not null default clock_timestamp()
column app_private.ai_usage_events_unplaced.user_id uuid not null
column app_private.ai_usage_kept.kept_from timestamp with time zone not null
column app_private.ai_usage_kept.only_row boolean not null default true
column app_private.authenticators.created_at timestamp with time zone not null default now()
column app_private.authenticators.role_name name not null
column app_private.past_memberships.group_id uuid not null
column app_private.past_memberships.id uuid not null default gen_random_uuid()
column app_private.past_memberships.organization_id uuid not null
column app_private.past_memberships.since timestamp with time zone not null
column app_private.past_memberships.until timestamp with time zone not null
column app_private.past_memberships.user_id uuid not null
column app_public.ai_ledger_discrepancies.kept_micros numeric
column app_public.ai_ledger_discrepancies.kind text
column app_public.ai_ledger_discrepancies.ledger_micros numeric
column app_public.ai_ledger_discrepancies.organization_id uuid
column app_public.ai_ledger_discrepancies.what text
column app_public.ai_model_price_history.cache_read_price bigint
column app_public.ai_model_price_history.cache_write_price bigint
column app_public.ai_model_price_history.input_price bigint
column app_public.ai_model_price_history.model text not null
column app_public.ai_model_price_history.output_price bigint
column app_public.ai_model_price_history.provider text not null
column app_public.ai_model_price_history.valid tstzrange not null
column app_public.ai_model_prices.cache_read_price bigint
column app_public.ai_model_prices.cache_write_price bigint
column app_public.ai_model_prices.created_at timestamp with time zone not null default now()
column app_public.ai_model_prices.input_price bigint
column app_public.ai_model_prices.model text not null
column app_public.ai_model_prices.output_price bigint
column app_public.ai_model_prices.provider text not null
column app_public.ai_model_prices.updated_at timestamp with time zone not null default now()
column app_public.ai_spend_daily.cache_read_tokens numeric not null
column app_public.ai_spend_daily.cache_write_tokens numeric not null
column app_public.ai_spend_daily.cost_micros numeric(44,6) not null
column app_public.ai_spend_daily.day date not null
column app_public.ai_spend_daily.group_id uuid not null
column app_public.ai_spend_daily.input_tokens numeric not null
column app_public.ai_spend_daily.model text not null
column app_public.ai_spend_daily.organization_id uuid not null
column app_public.ai_spend_daily.output_tokens numeric not null
column app_public.ai_spend_daily.overage_micros numeric(44,6) not null
column app_public.ai_spend_daily.provider text not null
column app_public.ai_spend_daily.requests bigint not null
column app_public.ai_spend_daily.unpriced_requests bigint not null
column app_public.ai_spend_daily.user_id uuid not null
column app_public.ai_usage_events.cache_read_price bigint
column app_public.ai_usage_events.cache_read_tokens bigint not null
column app_public.ai_usage_events.cache_write_price bigint
column app_public.ai_usage_events.cache_write_tokens bigint not null
column app_public.ai_usage_events.cost_micros numeric(44,6)
column app_public.ai_usage_events.group_id uuid not null
column app_public.ai_usage_events.id uuid not null
column app_public.ai_usage_events.input_price bigint
column app_public.ai_usage_events.input_tokens bigint not null
column app_public.ai_usage_events.model text not null
column app_public.ai_usage_events.occurred_at timestamp with time zone not null
column app_public.ai_usage_events.organization_id uuid not null
column app_public.ai_usage_events.output_price bigint
column app_public.ai_usage_events.output_tokens bigint not null
column app_public.ai_usage_events.overage_micros numeric(44,6)
column app_public.ai_usage_events.provider text not null
column app_public.ai_usage_events.recorded_at timestamp with time zone not null default clock_timestamp()
column app_public.ai_usage_events.user_id uuid not null
column app_public.features.created_at timestamp with time zone not null default now()
column app_public.features.enabled boolean not null
column app_public.features.entitlement app_public.feature_entitlement not null
column app_public.features.name text not null
column app_public.features.updated_at timestamp with time zone not null default now()
column app_public.group_ai_budgets.applies_to app_public.budget_scope not null default 'group'::app_public.budget_scope
column app_public.group_ai_budgets.created_at timestamp with time zone not null default now()
column app_public.group_ai_budgets.group_id uuid not null
column app_public.group_ai_budgets.period app_public.budget_period not null default 'month'::app_public.budget_period
column app_public.group_ai_budgets.spend_limit_micros bigint not null
column app_public.group_ai_budgets.updated_at timestamp with time zone not null default now()
column app_public.group_members.created_at timestamp with time zone not null default now()
column app_public.group_members.group_id uuid not null
column app_public.group_members.organization_id uuid not null
column app_public.group_members.user_id uuid not null
column app_public.groups.created_at timestamp with time zone not null default now()
column app_public.groups.id uuid not null default gen_random_uuid()
column app_public.groups.name text not null
column app_public.groups.organization_id uuid not null
column app_public.groups.updated_at timestamp with time zone not null default now()
column app_public.organization_member_roles.created_at timestamp with time zone not null default now()
column app_public.organization_member_roles.organization_id uuid not null
column app_public.organization_member_roles.role app_public.organization_role not null
column app_public.organization_member_roles.user_id uuid not null
column app_public.organization_members.created_at timestamp with time zone not null default now()
column app_public.organization_members.organization_id uuid not null
column app_public.organization_members.user_id uuid not null
column app_public.organizations.created_at timestamp with time zone not null default now()
column app_public.organizations.hold_seconds integer not null default 600
column app_public.organizations.id uuid not null default gen_random_uuid()
column app_public.organizations.name text not null
column app_public.organizations.time_zone text not null default 'UTC'::text
column app_public.organizations.unpriced_usage app_public.unpriced_usage_policy not null default 'refuse'::app_public.unpriced_usage_policy
column app_public.organizations.updated_at timestamp with time zone not null default now()
column app_public.user_site_roles.created_at timestamp with time zone not null default now()
column app_public.user_site_roles.role app_public.site_role not null
column app_public.user_site_roles.user_id uuid not null
column app_public.users.created_at timestamp with time zone not null default now()
column app_public.users.email text
column app_public.users.id uuid not null default gen_random_uuid()
column app_public.users.pg_role name
column app_public.users.updated_at timestamp with time zone not null default now()
column app_public.users.username text not null
constraint app_private.ai_spend_accounts.ai_spend_accounts_group_id_not_null NOT NULL group_id
constraint app_private.ai_spend_accounts.ai_spend_accounts_held_micros_not_null NOT NULL held_micros
constraint app_private.ai_spend_accounts.ai_spend_accounts_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_spend_accounts.ai_spend_accounts_swept_until_not_null NOT NULL swept_until
constraint app_private.ai_spend_accounts.ai_spend_accounts_user_id_not_null NOT NULL user_id
constraint app_private.ai_spend_accounts.holds_are_added_up_once PRIMARY KEY (organization_id, group_id, user_id)
constraint app_private.ai_spend_counters.ai_spend_counters_group_id_not_null NOT NULL group_id
constraint app_private.ai_spend_counters.ai_spend_counters_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_spend_counters.ai_spend_counters_overage_micros_not_null NOT NULL overage_micros
constraint app_private.ai_spend_counters.ai_spend_counters_period_end_not_null NOT NULL period_end
constraint app_private.ai_spend_counters.ai_spend_counters_period_start_not_null NOT NULL period_start
constraint app_private.ai_spend_counters.ai_spend_counters_spent_micros_not_null NOT NULL spent_micros
constraint app_private.ai_spend_counters.ai_spend_counters_user_id_not_null NOT NULL user_id
constraint app_private.ai_spend_counters.counter_covers_some_time CHECK ((period_start < period_end))
constraint app_private.ai_spend_counters.spend_is_counted_once_a_period PRIMARY KEY (organization_id, group_id, user_id, period_start)
constraint app_private.ai_spend_counting_starts.ai_spend_counting_starts_counted_from_not_null NOT NULL counted_from
constraint app_private.ai_spend_counting_starts.ai_spend_counting_starts_group_id_not_null NOT NULL group_id
constraint app_private.ai_spend_counting_starts.ai_spend_counting_starts_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_spend_counting_starts.group_has_one_counting_start PRIMARY KEY (organization_id, group_id)
constraint app_private.ai_spend_requests.ai_spend_requests_content_not_null NOT NULL content
constraint app_private.ai_spend_requests.ai_spend_requests_decision_not_null NOT NULL decision
constraint app_private.ai_spend_requests.ai_spend_requests_group_id_not_null NOT NULL group_id
constraint app_private.ai_spend_requests.ai_spend_requests_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_spend_requests.ai_spend_requests_request_id_not_null NOT NULL request_id
constraint app_private.ai_spend_requests.ai_spend_requests_requested_at_not_null NOT NULL requested_at
constraint app_private.ai_spend_requests.ai_spend_requests_state_not_null NOT NULL state
constraint app_private.ai_spend_requests.ai_spend_requests_user_id_not_null NOT NULL user_id
constraint app_private.ai_spend_requests.hold_has_an_end CHECK (((state = 'refused'::app_private.spend_request_state) = (expires_at IS NULL)))
constraint app_private.ai_spend_requests.request_is_decided_once PRIMARY KEY (organization_id, request_id)
constraint app_private.ai_usage_event_keys.ai_usage_event_keys_id_not_null NOT NULL id
constraint app_private.ai_usage_event_keys.ai_usage_event_keys_occurred_at_not_null NOT NULL occurred_at
constraint app_private.ai_usage_event_keys.ai_usage_event_keys_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_usage_event_keys.event_is_booked_once PRIMARY KEY (organization_id, id)
constraint app_private.ai_usage_events_unplaced.ai_usage_events_cache_read_tokens_not_null NOT NULL cache_read_tokens
constraint app_private.ai_usage_events_unplaced.ai_usage_events_cache_write_tokens_not_null NOT NULL cache_write_tokens
constraint app_private.ai_usage_events_unplaced.ai_usage_events_group_id_not_null NOT NULL group_id
constraint app_private.ai_usage_events_unplaced.ai_usage_events_id_not_null NOT NULL id
constraint app_private.ai_usage_events_unplaced.ai_usage_events_input_tokens_not_null NOT NULL input_tokens
constraint app_private.ai_usage_events_unplaced.ai_usage_events_model_not_null NOT NULL model
constraint app_private.ai_usage_events_unplaced.ai_usage_events_occurred_at_not_null NOT NULL occurred_at
constraint app_private.ai_usage_events_unplaced.ai_usage_events_organization_id_not_null NOT NULL organization_id
constraint app_private.ai_usage_events_unplaced.ai_usage_events_output_tokens_not_null NOT NULL output_tokens
constraint app_private.ai_usage_events_unplaced.ai_usage_events_provider_not_null NOT NULL provider
constraint app_private.ai_usage_events_unplaced.ai_usage_events_recorded_at_not_null NOT NULL recorded_at
constraint app_private.ai_usage_events_unplaced.ai_usage_events_unplaced_pkey PRIMARY KEY (organization_id, id, occurred_at)
constraint app_private.ai_usage_events_unplaced.ai_usage_events_user_id_not_null NOT NULL user_id
constraint app_private.ai_usage_events_unplaced.cost_is_not_negative CHECK ((cost_micros >= (0)::numeric))
constraint app_private.ai_usage_events_unplaced.overage_is_not_negative CHECK ((overage_micros >= (0)::numeric))
constraint app_private.ai_usage_events_unplaced.tokens_are_between_0_and_1_trillion CHECK ((((input_tokens >= 0) AND (input_tokens <= '1000000000000'::bigint)) AND ((output_tokens >= 0) AND (output_tokens <= '1000000000000'::bigint)) AND ((cache_read_tokens >= 0) AND (cache_read_tokens <= '1000000000000'::bigint)) AND ((cache_write_tokens >= 0) AND (cache_write_tokens <= '1000000000000'::bigint))))
constraint app_private.ai_usage_kept.ai_usage_kept_kept_from_not_null NOT NULL kept_from
constraint app_private.ai_usage_kept.ai_usage_kept_only_row_not_null NOT NULL only_row
constraint app_private.ai_usage_kept.usage_is_kept_from_one_moment PRIMARY KEY (only_row)
constraint app_private.ai_usage_kept.usage_is_kept_from_one_moment_on CHECK (only_row)
constraint app_private.authenticators.authenticators_created_at_not_null NOT NULL created_at
constraint app_private.authenticators.authenticators_pkey PRIMARY KEY (role_name)
constraint app_private.authenticators.authenticators_role_name_not_null NOT NULL role_name
constraint app_private.past_memberships.past_membership_is_noted_once PRIMARY KEY (id)
constraint app_private.past_memberships.past_memberships_group_id_not_null NOT NULL group_id
constraint app_private.past_memberships.past_memberships_id_not_null NOT NULL id
constraint app_private.past_memberships.past_memberships_organization_id_not_null NOT NULL organization_id
constraint app_private.past_memberships.past_memberships_since_not_null NOT NULL since
constraint app_private.past_memberships.past_memberships_until_not_null NOT NULL until
constraint app_private.past_memberships.past_memberships_user_id_not_null NOT NULL user_id
constraint app_public.ai_model_price_history.ai_model_price_history_model_not_null NOT NULL model
constraint app_public.ai_model_price_history.ai_model_price_history_provider_not_null NOT NULL provider
constraint app_public.ai_model_price_history.ai_model_price_history_valid_not_null NOT NULL valid
constraint app_public.ai_model_price_history.one_price_holds_at_a_time EXCLUDE USING gist (hashtextextended(model, hashtextextended(provider, (0)::bigint)) WITH =, valid WITH &&)
constraint app_public.ai_model_price_history.price_held_for_some_time CHECK ((NOT isempty(valid)))
constraint app_public.ai_model_price_history.price_is_remembered_once PRIMARY KEY (provider, model, valid)
constraint app_public.ai_model_prices.ai_model_prices_created_at_not_null NOT NULL created_at
constraint app_public.ai_model_prices.ai_model_prices_model_not_null NOT NULL model
constraint app_public.ai_model_prices.ai_model_prices_provider_not_null NOT NULL provider
constraint app_public.ai_model_prices.ai_model_prices_updated_at_not_null NOT NULL updated_at
constraint app_public.ai_model_prices.cache_read_price_is_not_negative CHECK ((cache_read_price >= 0))
constraint app_public.ai_model_prices.cache_write_price_is_not_negative CHECK ((cache_write_price >= 0))
constraint app_public.ai_model_prices.input_price_is_not_negative CHECK ((input_price >= 0))
constraint app_public.ai_model_prices.model_has_1_to_200_characters CHECK (((length(btrim(model)) >= 1) AND (length(btrim(model)) <= 200)))
constraint app_public.ai_model_prices.model_is_listed_once PRIMARY KEY (provider, model)
constraint app_public.ai_model_prices.output_price_is_not_negative CHECK ((output_price >= 0))
constraint app_public.ai_model_prices.provider_has_1_to_200_characters CHECK (((length(btrim(provider)) >= 1) AND (length(btrim(provider)) <= 200)))
constraint app_public.ai_spend_daily.ai_spend_daily_cache_read_tokens_not_null NOT NULL cache_read_tokens
constraint app_public.ai_spend_daily.ai_spend_daily_cache_write_tokens_not_null NOT NULL cache_write_tokens
constraint app_public.ai_spend_daily.ai_spend_daily_cost_micros_not_null NOT NULL cost_micros
constraint app_public.ai_spend_daily.ai_spend_daily_day_not_null NOT NULL day
constraint app_public.ai_spend_daily.ai_spend_daily_group_id_not_null NOT NULL group_id
constraint app_public.ai_spend_daily.ai_spend_daily_input_tokens_not_null NOT NULL input_tokens
constraint app_public.ai_spend_daily.ai_spend_daily_model_not_null NOT NULL model
constraint app_public.ai_spend_daily.ai_spend_daily_organization_id_not_null NOT NULL organization_id
constraint app_public.ai_spend_daily.ai_spend_daily_output_tokens_not_null NOT NULL output_tokens
constraint app_public.ai_spend_daily.ai_spend_daily_overage_micros_not_null NOT NULL overage_micros
constraint app_public.ai_spend_daily.ai_spend_daily_provider_not_null NOT NULL provider
constraint app_public.ai_spend_daily.ai_spend_daily_requests_not_null NOT NULL requests
constraint app_public.ai_spend_daily.ai_spend_daily_unpriced_requests_not_null NOT NULL unpriced_requests
constraint app_public.ai_spend_daily.ai_spend_daily_user_id_not_null NOT NULL user_id
constraint app_public.ai_spend_daily.spend_is_summed_up_once_a_day PRIMARY KEY (organization_id, day, group_id, user_id, provider, model)
constraint app_public.ai_usage_events.ai_usage_events_cache_read_tokens_not_null NOT NULL cache_read_tokens
constraint app_public.ai_usage_events.ai_usage_events_cache_write_tokens_not_null NOT NULL cache_write_tokens
constraint app_public.ai_usage_events.ai_usage_events_group_id_not_null NOT NULL group_id
constraint app_public.ai_usage_events.ai_usage_events_id_not_null NOT NULL id
constraint app_public.ai_usage_events.ai_usage_events_input_tokens_not_null NOT NULL input_tokens
constraint app_public.ai_usage_events.ai_usage_events_model_not_null NOT NULL model
constraint app_public.ai_usage_events.ai_usage_events_occurred_at_not_null NOT NULL occurred_at
constraint app_public.ai_usage_events.ai_usage_events_organization_id_not_null NOT NULL organization_id
constraint app_public.ai_usage_events.ai_usage_events_output_tokens_not_null NOT NULL output_tokens
constraint app_public.ai_usage_events.ai_usage_events_provider_not_null NOT NULL provider
constraint app_public.ai_usage_events.ai_usage_events_recorded_at_not_null NOT NULL recorded_at
constraint app_public.ai_usage_events.ai_usage_events_user_id_not_null NOT NULL user_id
constraint app_public.ai_usage_events.cost_is_not_negative CHECK ((cost_micros >= (0)::numeric))
constraint app_public.ai_usage_events.event_stands_in_the_ledger_once PRIMARY KEY (organization_id, id, occurred_at)
constraint app_public.ai_usage_events.overage_is_not_negative CHECK ((overage_micros >= (0)::numeric))
constraint app_public.ai_usage_events.tokens_are_between_0_and_1_trillion CHECK ((((input_tokens >= 0) AND (input_tokens <= '1000000000000'::bigint)) AND ((output_tokens >= 0) AND (output_tokens <= '1000000000000'::bigint)) AND ((cache_read_tokens >= 0) AND (cache_read_tokens <= '1000000000000'::bigint)) AND ((cache_write_tokens >= 0) AND (cache_write_tokens <= '1000000000000'::bigint))))
constraint app_public.features.feature_is_named_once PRIMARY KEY (name)
constraint app_public.features.feature_name_is_snake_case CHECK ((name ~ '^[a-z][a-z0-9_]{0,62}$'::text))
constraint app_public.features.features_created_at_not_null NOT NULL created_at
constraint app_public.features.features_enabled_not_null NOT NULL enabled
constraint app_public.features.features_entitlement_not_null NOT NULL entitlement
constraint app_public.features.features_name_not_null NOT NULL name
constraint app_public.features.features_updated_at_not_null NOT NULL updated_at
constraint app_public.group_ai_budgets.budget_belongs_to_a_group FOREIGN KEY (group_id) REFERENCES app_public.groups(id) ON DELETE CASCADE
constraint app_public.group_ai_budgets.group_ai_budgets_applies_to_not_null NOT NULL applies_to
constraint app_public.group_ai_budgets.group_ai_budgets_created_at_not_null NOT NULL created_at
constraint app_public.group_ai_budgets.group_ai_budgets_group_id_not_null NOT NULL group_id
constraint app_public.group_ai_budgets.group_ai_budgets_period_not_null NOT NULL period
constraint app_public.group_ai_budgets.group_ai_budgets_spend_limit_micros_not_null NOT NULL spend_limit_micros
constraint app_public.group_ai_budgets.group_ai_budgets_updated_at_not_null NOT NULL updated_at
constraint app_public.group_ai_budgets.group_has_one_budget PRIMARY KEY (group_id)
constraint app_public.group_ai_budgets.spend_limit_micros_is_between_0_and_1_billion_dollars CHECK (((spend_limit_micros >= 0) AND (spend_limit_micros <= '1000000000000000'::bigint)))
constraint app_public.group_members.everyone_belongs_without_a_row CHECK ((group_id <> organization_id))
constraint app_public.group_members.group_member_belongs_to_a_group FOREIGN KEY (organization_id, group_id) REFERENCES app_public.groups(organization_id, id) ON DELETE CASCADE
constraint app_public.group_members.group_member_is_a_member_of_the_organization FOREIGN KEY (organization_id, user_id) REFERENCES app_public.organization_members(organization_id, user_id) ON DELETE CASCADE
constraint app_public.group_members.group_members_created_at_not_null NOT NULL created_at
constraint app_public.group_members.group_members_group_id_not_null NOT NULL group_id
constraint app_public.group_members.group_members_organization_id_not_null NOT NULL organization_id
constraint app_public.group_members.group_members_user_id_not_null NOT NULL user_id
constraint app_public.group_members.user_joins_a_group_once PRIMARY KEY (group_id, user_id)
constraint app_public.groups.group_belongs_to_an_organization FOREIGN KEY (organization_id) REFERENCES app_public.organizations(id) ON DELETE CASCADE
constraint app_public.groups.group_id_is_not_nil CHECK ((id <> '00000000-0000-0000-0000-000000000000'::uuid))
constraint app_public.groups.group_id_is_taken_once PRIMARY KEY (id)
constraint app_public.groups.group_name_has_1_to_200_characters CHECK (((length(btrim(name)) >= 1) AND (length(btrim(name)) <= 200)))
constraint app_public.groups.group_name_is_taken_once_in_its_organization UNIQUE (organization_id, name)
constraint app_public.groups.group_stands_in_one_organization UNIQUE (organization_id, id)
constraint app_public.groups.groups_created_at_not_null NOT NULL created_at
constraint app_public.groups.groups_id_not_null NOT NULL id
constraint app_public.groups.groups_name_not_null NOT NULL name
constraint app_public.groups.groups_organization_id_not_null NOT NULL organization_id
constraint app_public.groups.groups_updated_at_not_null NOT NULL updated_at
constraint app_public.organization_member_roles.member_holds_an_organization_role_once PRIMARY KEY (organization_id, user_id, role)
constraint app_public.organization_member_roles.organization_member_roles_created_at_not_null NOT NULL created_at
constraint app_public.organization_member_roles.organization_member_roles_organization_id_not_null NOT NULL organization_id
constraint app_public.organization_member_roles.organization_member_roles_role_not_null NOT NULL role
constraint app_public.organization_member_roles.organization_member_roles_user_id_not_null NOT NULL user_id
constraint app_public.organization_member_roles.organization_role_belongs_to_a_member FOREIGN KEY (organization_id, user_id) REFERENCES app_public.organization_members(organization_id, user_id) ON DELETE CASCADE
constraint app_public.organization_members.member_belongs_to_an_organization FOREIGN KEY (organization_id) REFERENCES app_public.organizations(id) ON DELETE CASCADE
constraint app_public.organization_members.organization_member_is_a_user FOREIGN KEY (user_id) REFERENCES app_public.users(id) ON DELETE CASCADE
constraint app_public.organization_members.organization_members_created_at_not_null NOT NULL created_at
constraint app_public.organization_members.organization_members_organization_id_not_null NOT NULL organization_id
constraint app_public.organization_members.organization_members_user_id_not_null NOT NULL user_id
constraint app_public.organization_members.user_joins_an_organization_once PRIMARY KEY (organization_id, user_id)
constraint app_public.organizations.hold_seconds_is_between_1_second_and_1_day CHECK (((hold_seconds >= 1) AND (hold_seconds <= 86400)))
constraint app_public.organizations.organization_id_is_not_nil CHECK ((id <> '00000000-0000-0000-0000-000000000000'::uuid))
constraint app_public.organizations.organization_id_is_taken_once PRIMARY KEY (id)
constraint app_public.organizations.organization_name_has_1_to_200_characters CHECK (((length(btrim(name)) >= 1) AND (length(btrim(name)) <= 200)))
constraint app_public.organizations.organizations_created_at_not_null NOT NULL created_at
constraint app_public.organizations.organizations_hold_seconds_not_null NOT NULL hold_seconds
constraint app_public.organizations.organizations_id_not_null NOT NULL id
constraint app_public.organizations.organizations_name_not_null NOT NULL name
constraint app_public.organizations.organizations_time_zone_not_null NOT NULL time_zone
constraint app_public.organizations.organizations_unpriced_usage_not_null NOT NULL unpriced_usage
constraint app_public.organizations.organizations_updated_at_not_null NOT NULL updated_at
constraint app_public.user_site_roles.site_role_belongs_to_a_user FOREIGN KEY (user_id) REFERENCES app_public.users(id) ON DELETE CASCADE
constraint app_public.user_site_roles.user_holds_a_site_role_once PRIMARY KEY (user_id, role)
constraint app_public.user_site_roles.user_site_roles_created_at_not_null NOT NULL created_at
constraint app_public.user_site_roles.user_site_roles_role_not_null NOT NULL role
constraint app_public.user_site_roles.user_site_roles_user_id_not_null NOT NULL user_id
constraint app_public.users.email_has_3_to_320_characters CHECK (((length(email) >= 3) AND (length(email) <= 320)))
constraint app_public.users.pg_role_speaks_for_one_user UNIQUE (pg_role)
constraint app_public.users.user_id_is_not_nil CHECK ((id <> '00000000-0000-0000-0000-000000000000'::uuid))
constraint app_public.users.user_id_is_taken_once PRIMARY KEY (id)
constraint app_public.users.username_has_1_to_200_characters CHECK (((length(btrim(username)) >= 1) AND (length(btrim(username)) <= 200)))
constraint app_public.users.username_is_taken_once UNIQUE (username)
constraint app_public.users.users_created_at_not_null NOT NULL created_at
constraint app_public.users.users_id_not_null NOT NULL id
constraint app_public.users.users_updated_at_not_null NOT NULL updated_at
constraint app_public.users.users_username_not_null NOT NULL username
function app_hidden.budget_window(app_public.budget_period,timestamp with time zone,text) 487f8d3dfc9b272367264f4e22334b9a {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.current_user_id() febeaf71973acaff51a04546a657657b {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.exact_cost(bigint,bigint,bigint,bigint,bigint,bigint,bigint,bigint) 4c4ef911be4fe71fd60295c8644d52f8 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.feature_states() 9e9e05d2d89dacbc2bb6dd36b37e45b5 {bursar_owner=X/bursar_owner,bursar_authenticator=X/bursar_owner}
function app_hidden.first_instant(timestamp without time zone,text) 39a0fe7d4e65c6a47fcac9ddda75a164 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.has_site_role(app_public.site_role[]) d27e7e33da33c970a0d093c4de570c23 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.is_signed_in() 1bbc299ff45eb69625f53521ac271a3b {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.is_site_owner() a1ae1074125c6e32c17a10399f7591dc {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.ledger_discrepancies() ef337bcd4fca89393be76edc22b5bbef {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.lock_group_to_manage(uuid) a76a86ef87dd6f25eb4d89d7f751760f {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.manages_every_organization() 69baadc1fa428eac2f2ecfe76d8f73e2 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.my_groups() 4d489f004e08413e36e9b979b0ed79d8 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.my_organizations() 887e56bc9430b15722cb7770845fddbd {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.organizations_i_manage() 8721aebb7fe4867b846c5bd3d07e1cc6 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.organizations_i_read() 25e63cb5e7e7c5b6e4bae684510cb892 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.organizations_with_my_role(app_public.organization_role[]) 224dd0714656baa11ba342a34663b79c {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.price_of_usage(text,text,timestamp with time zone,bigint,bigint,bigint,bigint) 4b7fa2b5f39c4d916a61a9dc476c7b37 {bursar_owner=X/bursar_owner}
function app_hidden.price_seed_problem(jsonb) 2ae9e20910d7bd4b59baa1f096221823 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.reads_every_organization() 9bc9faaed7a66775e2ee2ab7f21fcbb7 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.reads_group(uuid) 2b78e51fa8ea88a11690d67c6c7ece4f {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.records_usage() 4964c00fc97b8fc7f8f910b980ac881d {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.right_hint(text) faf8787c02f0095cb98112534b05db59 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.usage_i_read() 9bd85bf94376cfaa954bb55786898455 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_hidden.user_exists(uuid) 94448feedbb0e56125cc346673225efd {bursar_owner=X/bursar_owner,bursar_authenticator=X/bursar_owner}
function app_private.add_to_counters(app_public.ai_usage_events[]) 5fcc3040d4194703d56d7ca990401b9e {bursar_owner=X/bursar_owner}
function app_private.announce_features() 155fe202b6021b78a1777dce8a2328d2 {bursar_owner=X/bursar_owner}
function app_private.booked_ids(uuid[]) 4a0397b534ef8fad236b1957e4726351 {bursar_owner=X/bursar_owner}
function app_private.budget_candidates(uuid,uuid,uuid,timestamp with time zone) 31afa113725956f578b7a6b626ee7cd7 {bursar_owner=X/bursar_owner}
function app_private.budget_standings(uuid,uuid[],uuid,timestamp with time zone,timestamp with time zone) 1a86bef835f71ed0eff60a4c44182fef {bursar_owner=X/bursar_owner}
function app_private.call_problem(uuid,uuid,uuid,uuid[]) 50618b15aaaa8661c45ab1cd822dcaab {bursar_owner=X/bursar_owner}
function app_private.charged_group(uuid,uuid,uuid,timestamp with time zone) addf24dc9a9387048fa5e0e53e9e9d60 {bursar_owner=X/bursar_owner}
function app_private.check_time_zone() ebed3fd8c591a2def64f91243400d151 {bursar_owner=X/bursar_owner}
function app_private.count_anew(uuid,uuid,timestamp with time zone) 58cfc235ba0c2d8790327ecf9dbdb305 {bursar_owner=X/bursar_owner}
function app_private.counted_spend(app_public.ai_usage_events[]) 85b4ba03dde60bef7db9cc5faf6ea0ce {bursar_owner=X/bursar_owner}
function app_private.decide(app_private.budget_standing[],numeric,app_public.unpriced_usage_policy) c344083b407aa351ac183dbcdfec8faf {bursar_owner=X/bursar_owner}
function app_private.decision_again(app_private.ai_spend_requests,jsonb) b5b7a65995db006ce879e77f9f8e6d09 {bursar_owner=X/bursar_owner}
function app_private.drop_usage_before(date) 503e7a43065b49340bcbf6f7bf41bcd2 {bursar_owner=X/bursar_owner}
function app_private.find_request(uuid,uuid) 81e2d1fcc53f2fb9baea0ba6e0754622 {bursar_owner=X/bursar_owner}
function app_private.follow_budgets() 85c28f0af2580b0270f3d805fa5dd206 {bursar_owner=X/bursar_owner}
function app_private.follow_time_zones() 9047a3072ebd8960f97aa7da1246ac5e {bursar_owner=X/bursar_owner}
function app_private.forget_groups() 174b156424fe8b8c14cfe73dae8d36a3 {bursar_owner=X/bursar_owner}
function app_private.found_everyone_group() 5fc2e048ac674814de9e2ab32886d4fb {bursar_owner=X/bursar_owner}
function app_private.give_back(app_private.ai_spend_requests) 86846028ff77ecac9d04b4b31cf546b9 {bursar_owner=X/bursar_owner}
function app_private.holds_ending(uuid,uuid,uuid,timestamp with time zone,timestamp with time zone) 6f21c1f733253e85c945021ae102ff15 {bursar_owner=X/bursar_owner}
function app_private.keep_budget_with_its_group() 2fac7f1adb0dc7dcbc7d9fcb70710b46 {bursar_owner=X/bursar_owner}
function app_private.keep_everyone_group() 2afc66882347ea7a42ef619abd37238e {bursar_owner=X/bursar_owner}
function app_private.keep_model_name() b893e2ef76bbaa3c1f24204816258a3b {bursar_owner=X/bursar_owner}
function app_private.keep_timestamps() 57e38a99c418204c3551f07027faddc9 {bursar_owner=X/bursar_owner}
function app_private.ledger_spend(uuid,uuid,uuid,timestamp with time zone,timestamp with time zone,timestamp with time zone) 14ce280e5d5f826e93b5054186b1d2e5 {bursar_owner=X/bursar_owner}
function app_private.lock_new_request(uuid) 58f053f7dc42f4d49c2dcea3bf302fb4 {bursar_owner=X/bursar_owner}
function app_private.lock_pools(uuid[],uuid[]) cfdf253f5c44927899157f78dc1fb20a {bursar_owner=X/bursar_owner}
function app_private.lock_pools_of(app_public.ai_usage_events[]) bc07c7a919f404402478a656da588ecf {bursar_owner=X/bursar_owner}
function app_private.make_usage_month(date) f1f2ed02189f8b40bdc160aae3ee7553 {bursar_owner=X/bursar_owner}
function app_private.make_usage_months(timestamp with time zone[]) 94ee4e0382378a4e118ba491d1f23cf4 {bursar_owner=X/bursar_owner}
function app_private.moment_of(text) c06267c344aa82d5a309bcedb9440cd7 {bursar_owner=X/bursar_owner}
function app_private.open_pool() 5ff9e2a43270d5dc994bbded8f701199 {bursar_owner=X/bursar_owner}
function app_private.organizations_of_call(uuid,uuid,uuid,timestamp with time zone,uuid[],boolean) 3c6b9599ff86f945bc1c0ec40c4725c5 {bursar_owner=X/bursar_owner}
function app_private.place_group_member() fa3ad39e77a08838df46ba17ee531c2f {bursar_owner=X/bursar_owner}
function app_private.pool() 823bcc78684644f56adf6320e101d1df {bursar_owner=X/bursar_owner}
function app_private.register_authenticator(name) 292ed6d7afac7297dabd98421924953c {bursar_owner=X/bursar_owner}
function app_private.remember_members() 49fdec14dfb494e1899034f3cb0f036c {bursar_owner=X/bursar_owner}
function app_private.remember_prices() ac0f95043a01706d189eeb76ef69afd9 {bursar_owner=X/bursar_owner}
function app_private.request_with_id(uuid) 24030053e6ae328cfc438fe7f9b452bb {bursar_owner=X/bursar_owner}
function app_private.require_gateway() 45b0a117a7740f8e5f0be0a95e9919dc {bursar_owner=X/bursar_owner}
function app_private.require_given(text,text) 175be9c292a3f149976fedd444683a3e {bursar_owner=X/bursar_owner}
function app_private.require_moment(text,timestamp with time zone) ece08eb3f155258ea32a1ec33f274183 {bursar_owner=X/bursar_owner}
function app_private.require_read_committed() 0821598ef335d821298e3f9fc84229a4 {bursar_owner=X/bursar_owner}
function app_private.require_tokens(text,bigint) 8fbe080de87560aee439f7c160115ebd {bursar_owner=X/bursar_owner}
function app_private.spend_by_user(uuid,uuid,uuid,timestamp with time zone,timestamp with time zone) 34301bd002e07c99bb874f8138ec24c1 {bursar_owner=X/bursar_owner}
function app_private.spend_of_period(uuid,uuid,uuid,timestamp with time zone,timestamp with time zone,boolean) 5a9dfffba5c35d7656fcc630eb93b476 {bursar_owner=X/bursar_owner}
function app_private.usage_batch_problem(jsonb) 3bf799e59d29c2418430c56e3938024a {bursar_owner=X/bursar_owner}
function app_private.wait_for_last_bookings() f38c8726f701b08515483b651f80b3ae {bursar_owner=X/bursar_owner}
function app_private.write_ledger(app_public.ai_usage_events[]) 89c558c9dc83d25562b155912694de78 {bursar_owner=X/bursar_owner}
function app_public.ai_budget_status(uuid) 73f43dfc8b894e4baee80dc0e9e09b6f {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.ai_model_price(text,text) 233934cf08f089eecd0ffd110419d4bf {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.authorize_ai_spend(uuid,uuid,text,text,bigint,bigint,bigint,bigint,uuid,uuid) 690bc7c2ce8163ce28104e9513b1cbe4 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.delete_group_ai_budget(uuid) 0c6e6f3a577217d201c1b35ba8292630 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.explain_ai_budget(uuid,text,text,timestamp with time zone,uuid,uuid) 95118590edf413aa98fa7594e028e56b {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.group_ai_budget(uuid) 58d4653f3d634f88426584846253a862 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.groups_ai_budget_status(app_public.groups) ce6b2d329e9bf14237df5159f61de622 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.price_unpriced_ai_usage(integer) ad8de73b7e81f8e7afc60f3cf55c72c0 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.record_ai_usage(jsonb) bbc03ec9baed4b5eb256221580bc0b82 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.release_ai_spend(uuid,uuid) 0b020733e1a3e8513e6997da98592ae4 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.set_feature(text,app_public.feature_entitlement,boolean) b978cd6aa6ed4ff9c75b4c075537e95a {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.set_group_ai_budget_terms(uuid,app_public.budget_scope,app_public.budget_period) dbf8a587f8bf2ba740e598bf93c3da44 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.settle_ai_spend(uuid,bigint,bigint,bigint,bigint,timestamp with time zone,uuid) af32082e741ff61a03e3eadc8b8690a5 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.upsert_ai_model_prices(jsonb) 9c935ea38e9acdca3c94d657007dad44 {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
function app_public.upsert_group_ai_budget(uuid,bigint) f61b21c136abcc23374cedafd1bbdafb {bursar_owner=X/bursar_owner,bursar_user=X/bursar_owner}
grants app_private.ai_memberships 
grants app_private.ai_spend_accounts 
grants app_private.ai_spend_counters 
grants app_private.ai_spend_counting_starts 
grants app_private.ai_spend_requests 
grants app_private.ai_spend_terms 
grants app_private.ai_usage_event_keys 
grants app_private.ai_usage_events_unplaced 
grants app_private.ai_usage_kept 
grants app_private.authenticators 
grants app_private.past_memberships 
grants app_public.ai_ledger_discrepancies {bursar_owner=arwdDxtm/bursar_owner,bursar_user=r/bursar_owner}
grants app_public.ai_model_price_history {bursar_owner=arwdDxtm/bursar_owner,bursar_user=r/bursar_owner}
grants app_public.ai_model_prices {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.ai_spend_daily {bursar_owner=arwdDxtm/bursar_owner,bursar_user=r/bursar_owner}
grants app_public.ai_usage_events {bursar_owner=arwdDxtm/bursar_owner,bursar_user=r/bursar_owner}
grants app_public.features {bursar_owner=arwdDxtm/bursar_owner,bursar_user=r/bursar_owner}
grants app_public.group_ai_budgets {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.group_members {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.groups {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.organization_member_roles {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.organization_members {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.organizations {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.user_site_roles {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
grants app_public.users {bursar_owner=arwdDxtm/bursar_owner,bursar_user=rd/bursar_owner}
index CREATE INDEX ai_model_prices_by_model ON app_public.ai_model_prices USING btree (model)
index CREATE INDEX ai_spend_daily_by_group ON app_public.ai_spend_daily USING btree (organization_id, group_id, day)
index CREATE INDEX ai_spend_daily_by_model ON app_public.ai_spend_daily USING btree (organization_id, model, day)
index CREATE INDEX ai_spend_daily_by_user ON app_public.ai_spend_daily USING btree (organization_id, user_id, day)
index CREATE INDEX ai_spend_requests_by_request ON app_private.ai_spend_requests USING btree (request_id)
index CREATE INDEX ai_spend_requests_held_of_group ON app_private.ai_spend_requests USING btree (organization_id, group_id, expires_at) INCLUDE (user_id, estimate_micros) WHERE (state = 'held'::app_private.spend_request_state)
index CREATE INDEX ai_spend_requests_held_of_organization ON app_private.ai_spend_requests USING btree (organization_id, expires_at) INCLUDE (user_id, estimate_micros) WHERE (state = 'held'::app_private.spend_request_state)
index CREATE INDEX ai_usage_event_keys_by_id ON app_private.ai_usage_event_keys USING btree (id)
index CREATE INDEX ai_usage_events_by_group ON ONLY app_public.ai_usage_events USING btree (organization_id, group_id, occurred_at)
index CREATE INDEX ai_usage_events_by_time ON ONLY app_public.ai_usage_events USING btree (organization_id, occurred_at)
index CREATE INDEX ai_usage_events_by_user ON ONLY app_public.ai_usage_events USING btree (organization_id, user_id, occurred_at)
index CREATE INDEX ai_usage_events_unplaced_organization_id_group_id_occurred__idx ON app_private.ai_usage_events_unplaced USING btree (organization_id, group_id, occurred_at)
index CREATE INDEX ai_usage_events_unplaced_organization_id_occurred_at_idx ON app_private.ai_usage_events_unplaced USING btree (organization_id, occurred_at)
index CREATE INDEX ai_usage_events_unplaced_organization_id_user_id_occurred_a_idx ON app_private.ai_usage_events_unplaced USING btree (organization_id, user_id, occurred_at)
index CREATE INDEX ai_usage_events_unplaced_provider_model_organization_id_idx ON app_private.ai_usage_events_unplaced USING btree (provider, model, organization_id) WHERE (cost_micros IS NULL)
index CREATE INDEX ai_usage_events_without_price ON ONLY app_public.ai_usage_events USING btree (provider, model, organization_id) WHERE (cost_micros IS NULL)
index CREATE INDEX group_members_by_group ON app_public.group_members USING btree (organization_id, group_id)
index CREATE INDEX group_members_by_user ON app_public.group_members USING btree (user_id, organization_id)
index CREATE INDEX one_price_holds_at_a_time ON app_public.ai_model_price_history USING gist (hashtextextended(model, hashtextextended(provider, (0)::bigint)), valid)
index CREATE INDEX organization_member_roles_by_user ON app_public.organization_member_roles USING btree (user_id)
index CREATE INDEX organization_members_by_user ON app_public.organization_members USING btree (user_id)
index CREATE INDEX past_memberships_by_user ON app_private.past_memberships USING btree (user_id, organization_id)
index CREATE UNIQUE INDEX ai_usage_events_unplaced_pkey ON app_private.ai_usage_events_unplaced USING btree (organization_id, id, occurred_at)
index CREATE UNIQUE INDEX authenticators_pkey ON app_private.authenticators USING btree (role_name)
index CREATE UNIQUE INDEX email_is_taken_once ON app_public.users USING btree (lower(email))
index CREATE UNIQUE INDEX event_is_booked_once ON app_private.ai_usage_event_keys USING btree (organization_id, id)
index CREATE UNIQUE INDEX event_stands_in_the_ledger_once ON ONLY app_public.ai_usage_events USING btree (organization_id, id, occurred_at)
index CREATE UNIQUE INDEX feature_is_named_once ON app_public.features USING btree (name)
index CREATE UNIQUE INDEX group_has_one_budget ON app_public.group_ai_budgets USING btree (group_id)
index CREATE UNIQUE INDEX group_has_one_counting_start ON app_private.ai_spend_counting_starts USING btree (organization_id, group_id)
index CREATE UNIQUE INDEX group_id_is_taken_once ON app_public.groups USING btree (id)
index CREATE UNIQUE INDEX group_name_is_taken_once_in_its_organization ON app_public.groups USING btree (organization_id, name)
index CREATE UNIQUE INDEX group_stands_in_one_organization ON app_public.groups USING btree (organization_id, id)
index CREATE UNIQUE INDEX holds_are_added_up_once ON app_private.ai_spend_accounts USING btree (organization_id, group_id, user_id)
index CREATE UNIQUE INDEX member_holds_an_organization_role_once ON app_public.organization_member_roles USING btree (organization_id, user_id, role)
index CREATE UNIQUE INDEX model_is_listed_once ON app_public.ai_model_prices USING btree (provider, model)
index CREATE UNIQUE INDEX organization_id_is_taken_once ON app_public.organizations USING btree (id)
index CREATE UNIQUE INDEX past_membership_is_noted_once ON app_private.past_memberships USING btree (id)
index CREATE UNIQUE INDEX pg_role_speaks_for_one_user ON app_public.users USING btree (pg_role)
index CREATE UNIQUE INDEX price_is_remembered_once ON app_public.ai_model_price_history USING btree (provider, model, valid)
index CREATE UNIQUE INDEX request_is_decided_once ON app_private.ai_spend_requests USING btree (organization_id, request_id)
index CREATE UNIQUE INDEX spend_is_counted_once_a_period ON app_private.ai_spend_counters USING btree (organization_id, group_id, user_id, period_start)
index CREATE UNIQUE INDEX spend_is_summed_up_once_a_day ON app_public.ai_spend_daily USING btree (organization_id, day, group_id, user_id, provider, model)
index CREATE UNIQUE INDEX usage_is_kept_from_one_moment ON app_private.ai_usage_kept USING btree (only_row)
index CREATE UNIQUE INDEX user_holds_a_site_role_once ON app_public.user_site_roles USING btree (user_id, role)
index CREATE UNIQUE INDEX user_id_is_taken_once ON app_public.users USING btree (id)
index CREATE UNIQUE INDEX user_joins_a_group_once ON app_public.group_members USING btree (group_id, user_id)
index CREATE UNIQUE INDEX user_joins_an_organization_once ON app_public.organization_members USING btree (organization_id, user_id)
index CREATE UNIQUE INDEX username_is_taken_once ON app_public.users USING btree (username)
policy app_public.ai_model_price_history.price_history_is_read_by_whoever_is_signed_in ( SELECT app_hidden.is_signed_in() AS is_signed_in) 
policy app_public.ai_model_prices.price_is_added_by_owners  ( SELECT app_hidden.is_site_owner() AS is_site_owner)
policy app_public.ai_model_prices.price_is_changed_by_owners ( SELECT app_hidden.is_site_owner() AS is_site_owner) 
policy app_public.ai_model_prices.price_is_deleted_by_owners ( SELECT app_hidden.is_site_owner() AS is_site_owner) 
policy app_public.ai_model_prices.price_is_read_by_whoever_is_signed_in ( SELECT app_hidden.is_signed_in() AS is_signed_in) 
policy app_public.ai_spend_daily.daily_spend_is_read_by_its_user_and_readers_of_the_organization ((('00000000-0000-0000-0000-000000000000'::uuid, '00000000-0000-0000-0000-000000000000'::uuid) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id))) OR ((organization_id, '00000000-0000-0000-0000-000000000000'::uuid) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id))) OR ((organization_id, user_id) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id)))) 
policy app_public.ai_usage_events.usage_is_read_by_its_user_and_readers_of_the_organization ((('00000000-0000-0000-0000-000000000000'::uuid, '00000000-0000-0000-0000-000000000000'::uuid) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id))) OR ((organization_id, '00000000-0000-0000-0000-000000000000'::uuid) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id))) OR ((organization_id, user_id) IN ( SELECT r.organization_id,
    r.user_id
   FROM app_hidden.usage_i_read() r(organization_id, user_id)))) 
policy app_public.features.feature_is_read_by_whoever_is_signed_in ( SELECT app_hidden.is_signed_in() AS is_signed_in) 
policy app_public.features.feature_is_set_by_owners ( SELECT app_hidden.is_site_owner() AS is_site_owner) 
policy app_public.group_ai_budgets.budget_is_changed_by_whoever_manages_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (EXISTS ( SELECT
   FROM app_public.groups g
  WHERE ((g.id = group_ai_budgets.group_id) AND (g.organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)))))) 
policy app_public.group_ai_budgets.budget_is_deleted_by_whoever_manages_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (EXISTS ( SELECT
   FROM app_public.groups g
  WHERE ((g.id = group_ai_budgets.group_id) AND (g.organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)))))) 
policy app_public.group_ai_budgets.budget_is_read_by_whoever_reads_the_group (EXISTS ( SELECT
   FROM app_public.groups g
  WHERE (g.id = group_ai_budgets.group_id))) 
policy app_public.group_ai_budgets.budget_is_set_by_whoever_manages_the_organization  (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (EXISTS ( SELECT
   FROM app_public.groups g
  WHERE ((g.id = group_ai_budgets.group_id) AND (g.organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage))))))
policy app_public.group_members.group_member_is_added_by_whoever_manages_the_organization  (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)))
policy app_public.group_members.group_member_is_read_by_whoever_reads_the_group (( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_read() AS organizations_i_read)) OR (group_id IN ( SELECT app_hidden.my_groups() AS my_groups))) 
policy app_public.group_members.group_member_is_removed_by_whoever_manages_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage))) 
policy app_public.groups.group_is_added_by_whoever_manages_the_organization  (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)))
policy app_public.groups.group_is_changed_by_whoever_manages_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage))) 
policy app_public.groups.group_is_deleted_by_whoever_manages_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage))) 
policy app_public.groups.group_is_read_by_its_members_and_whoever_reads_the_organization (( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_read() AS organizations_i_read)) OR (id IN ( SELECT app_hidden.my_groups() AS my_groups))) 
policy app_public.organization_member_roles.organization_role_is_given_by_admins  (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_with_my_role(VARIADIC ARRAY['organization_admin'::app_public.organization_role]) AS organizations_with_my_role)))
policy app_public.organization_member_roles.organization_role_is_read_by_its_holder_and_group_readers ((user_id = ( SELECT app_hidden.current_user_id() AS current_user_id)) OR ( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_read() AS organizations_i_read))) 
policy app_public.organization_member_roles.organization_role_is_taken_by_admins (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_with_my_role(VARIADIC ARRAY['organization_admin'::app_public.organization_role]) AS organizations_with_my_role))) 
policy app_public.organization_members.organization_member_is_added_by_managers_of_the_organization  (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)))
policy app_public.organization_members.organization_member_is_read_by_fellow_members_and_site_roles (( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (organization_id IN ( SELECT app_hidden.my_organizations() AS my_organizations))) 
policy app_public.organization_members.organization_member_is_removed_by_managers_of_the_organization (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) OR (organization_id IN ( SELECT app_hidden.organizations_with_my_role(VARIADIC ARRAY['organization_admin'::app_public.organization_role]) AS organizations_with_my_role)) OR ((organization_id IN ( SELECT app_hidden.organizations_i_manage() AS organizations_i_manage)) AND (NOT (EXISTS ( SELECT
   FROM app_public.organization_member_roles r
  WHERE ((r.organization_id = organization_members.organization_id) AND (r.user_id = organization_members.user_id))))))) 
policy app_public.organizations.organization_is_closed_by_owners ( SELECT app_hidden.is_site_owner() AS is_site_owner) 
policy app_public.organizations.organization_is_founded_by_owners  ( SELECT app_hidden.is_site_owner() AS is_site_owner)
policy app_public.organizations.organization_is_read_by_its_members_and_site_roles (( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (id IN ( SELECT app_hidden.my_organizations() AS my_organizations))) 
policy app_public.organizations.organization_is_renamed_by_owners_and_its_admins (( SELECT app_hidden.is_site_owner() AS is_site_owner) OR (id IN ( SELECT app_hidden.organizations_with_my_role(VARIADIC ARRAY['organization_admin'::app_public.organization_role]) AS organizations_with_my_role))) 
policy app_public.user_site_roles.site_role_is_given_by_owners  ( SELECT app_hidden.is_site_owner() AS is_site_owner)
policy app_public.user_site_roles.site_role_is_read_by_its_holder_and_site_roles ((user_id = ( SELECT app_hidden.current_user_id() AS current_user_id)) OR ( SELECT app_hidden.reads_every_organization() AS reads_every_organization)) 
policy app_public.user_site_roles.site_role_is_taken_by_owners ( SELECT app_hidden.is_site_owner() AS is_site_owner) 
policy app_public.users.user_is_added_by_owners_and_user_admins  ( SELECT app_hidden.manages_every_organization() AS manages_every_organization)
policy app_public.users.user_is_changed_by_owners_and_ordinary_ones_by_user_admins (( SELECT app_hidden.is_site_owner() AS is_site_owner) OR (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) AND (NOT (EXISTS ( SELECT
   FROM app_public.user_site_roles r
  WHERE (r.user_id = users.id)))))) 
policy app_public.users.user_is_deleted_by_owners_and_ordinary_ones_by_user_admins (( SELECT app_hidden.is_site_owner() AS is_site_owner) OR (( SELECT app_hidden.manages_every_organization() AS manages_every_organization) AND (NOT (EXISTS ( SELECT
   FROM app_public.user_site_roles r
  WHERE (r.user_id = users.id)))))) 
policy app_public.users.user_is_read_by_whoever_shares_an_organization ((id = ( SELECT app_hidden.current_user_id() AS current_user_id)) OR ( SELECT app_hidden.reads_every_organization() AS reads_every_organization) OR (EXISTS ( SELECT
   FROM app_public.organization_members m
  WHERE (m.user_id = users.id)))) 
trigger CREATE TRIGGER announce_features AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON app_public.features FOR EACH STATEMENT EXECUTE FUNCTION app_private.announce_features()
trigger CREATE TRIGGER check_time_zone BEFORE UPDATE ON app_public.organizations FOR EACH ROW WHEN ((new.time_zone IS DISTINCT FROM old.time_zone)) EXECUTE FUNCTION app_private.check_time_zone()
trigger CREATE TRIGGER check_time_zone_of_new_organizations BEFORE INSERT ON app_public.organizations FOR EACH ROW WHEN ((new.time_zone <> 'UTC'::text)) EXECUTE FUNCTION app_private.check_time_zone()
trigger CREATE TRIGGER follow_changed_budgets AFTER UPDATE ON app_public.group_ai_budgets REFERENCING OLD TABLE AS old_budgets NEW TABLE AS new_budgets FOR EACH STATEMENT EXECUTE FUNCTION app_private.follow_budgets()
trigger CREATE TRIGGER follow_new_budgets AFTER INSERT ON app_public.group_ai_budgets REFERENCING NEW TABLE AS new_budgets FOR EACH STATEMENT EXECUTE FUNCTION app_private.follow_budgets()
trigger CREATE TRIGGER follow_removed_budgets AFTER DELETE ON app_public.group_ai_budgets REFERENCING OLD TABLE AS old_budgets FOR EACH STATEMENT EXECUTE FUNCTION app_private.follow_budgets()
trigger CREATE TRIGGER follow_time_zones AFTER UPDATE ON app_public.organizations REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION app_private.follow_time_zones()
trigger CREATE TRIGGER forget_groups AFTER DELETE ON app_public.groups REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION app_private.forget_groups()
trigger CREATE TRIGGER found_everyone_group AFTER INSERT ON app_public.organizations FOR EACH ROW EXECUTE FUNCTION app_private.found_everyone_group()
trigger CREATE TRIGGER keep_budget_with_its_group BEFORE UPDATE ON app_public.group_ai_budgets FOR EACH ROW WHEN ((old.group_id <> new.group_id)) EXECUTE FUNCTION app_private.keep_budget_with_its_group()
trigger CREATE TRIGGER keep_everyone_group_from_deletion BEFORE DELETE ON app_public.groups FOR EACH ROW EXECUTE FUNCTION app_private.keep_everyone_group()
trigger CREATE TRIGGER keep_everyone_group_from_renaming BEFORE UPDATE ON app_public.groups FOR EACH ROW WHEN (((old.name IS DISTINCT FROM new.name) OR (old.id <> new.id))) EXECUTE FUNCTION app_private.keep_everyone_group()
trigger CREATE TRIGGER keep_model_name AFTER UPDATE ON app_public.ai_model_prices FOR EACH ROW WHEN (((old.provider <> new.provider) OR (old.model <> new.model))) EXECUTE FUNCTION app_private.keep_model_name()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.ai_model_prices FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.features FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.group_ai_budgets FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.groups FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.organizations FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER keep_timestamps BEFORE UPDATE ON app_public.users FOR EACH ROW EXECUTE FUNCTION app_private.keep_timestamps()
trigger CREATE TRIGGER open_pool AFTER INSERT ON app_public.groups FOR EACH ROW EXECUTE FUNCTION app_private.open_pool()
trigger CREATE TRIGGER place_group_member BEFORE INSERT ON app_public.group_members FOR EACH ROW EXECUTE FUNCTION app_private.place_group_member()
trigger CREATE TRIGGER remember_changed_prices AFTER UPDATE ON app_public.ai_model_prices REFERENCING OLD TABLE AS old_prices NEW TABLE AS new_prices FOR EACH STATEMENT EXECUTE FUNCTION app_private.remember_prices()
trigger CREATE TRIGGER remember_members AFTER DELETE ON app_public.group_members REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION app_private.remember_members()
trigger CREATE TRIGGER remember_members AFTER DELETE ON app_public.organization_members REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION app_private.remember_members()
trigger CREATE TRIGGER remember_new_prices AFTER INSERT ON app_public.ai_model_prices REFERENCING NEW TABLE AS new_prices FOR EACH STATEMENT EXECUTE FUNCTION app_private.remember_prices()
trigger CREATE TRIGGER remember_removed_prices AFTER DELETE ON app_public.ai_model_prices REFERENCING OLD TABLE AS old_prices FOR EACH STATEMENT EXECUTE FUNCTION app_private.remember_prices()
trigger CREATE TRIGGER wait_for_last_bookings AFTER INSERT ON app_public.organization_members REFERENCING NEW TABLE AS come FOR EACH STATEMENT EXECUTE FUNCTION app_private.wait_for_last_bookings()

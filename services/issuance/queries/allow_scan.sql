-- Lets this transaction read the coupons of a range of leases, for as long as $1 milliseconds; connections may otherwise only probe indexes by their keys.
-- The plan is made for the range at hand: a generic one would take every range for a small one.
SELECT
    set_config('statement_timeout', $1, TRUE),
    set_config('enable_hashjoin', 'on', TRUE),
    set_config('enable_bitmapscan', 'on', TRUE),
    set_config('plan_cache_mode', 'force_custom_plan', TRUE)

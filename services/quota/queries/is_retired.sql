-- Whether a campaign grants no lease any more. Relies on the locks of lock_tiers, which whoever retires it takes as well.
SELECT retired_at IS NOT NULL FROM campaigns WHERE campaign_number = $1

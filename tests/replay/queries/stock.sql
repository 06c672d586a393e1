-- Where the stock is, whether it adds up, and whether what is out agrees with the leases. $1 the campaign's number.
-- One statement, so that a lease in between cannot make the sides differ.
WITH lent AS (
    SELECT
        tier_number,
        coalesce(sum(granted) FILTER (WHERE settled_at IS NULL), 0) AS leased,
        coalesce(sum(used) FILTER (WHERE settled_at IS NOT NULL), 0) AS settled
    FROM lease_counts
    WHERE campaign_number = $1
    GROUP BY tier_number
)
SELECT
    coalesce(sum(stock), 0)::bigint AS stock,
    coalesce(sum(free), 0)::bigint AS free,
    coalesce(sum(tier.leased), 0)::bigint AS leased,
    coalesce(sum(tier.settled), 0)::bigint AS settled,
    count(*) FILTER (WHERE free + tier.leased + tier.settled <> stock) AS wrong_tiers_that_do_not_add_up,
    count(*) FILTER (WHERE least(free, tier.leased, tier.settled) < 0) AS wrong_tiers_below_zero,
    count(*) FILTER (WHERE tier.leased <> coalesce(lent.leased, 0) OR tier.settled <> coalesce(lent.settled, 0)) AS wrong_tiers_that_differ_from_their_leases
FROM tiers AS tier
LEFT JOIN lent USING (tier_number)
WHERE campaign_number = $1;

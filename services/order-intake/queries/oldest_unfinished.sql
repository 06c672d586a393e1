-- When the oldest order was placed that a worker still has something to do for: its details are
-- needed until that is done. Relies on the partial indexes orders_pending and orders_owing, which
-- hold such orders and no others.
SELECT least(
    (SELECT min(created_at) FROM orders WHERE state = 1),
    (SELECT min(created_at) FROM orders WHERE owes_coupon)
)

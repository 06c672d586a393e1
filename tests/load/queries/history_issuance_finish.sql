-- Indexes and statistics as they are in service.
CREATE INDEX leases_by_campaign ON leases (lane, campaign_number, lease_id);
ALTER TABLE coupons ADD CONSTRAINT coupons_pkey PRIMARY KEY (lane, shopper_id, campaign_number, slot);
SELECT brin_summarize_new_values('coupons_by_lease');
VACUUM ANALYZE leases;
VACUUM ANALYZE coupons;

-- Indexes, checks and statistics as they are in service.
CREATE INDEX leases_by_campaign ON leases (campaign_number, lease_id);
ALTER TABLE leases ADD CONSTRAINT leases_belong_to_a_campaign FOREIGN KEY (campaign_number) REFERENCES campaigns (campaign_number);
VACUUM ANALYZE leases;

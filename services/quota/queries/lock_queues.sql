-- Every transaction that changes queues begins here and takes their locks in the order of campaign numbers: none waits in a circle. How they stand is read by a later statement, which sees what the one
-- before did.
SELECT campaign_number FROM queues WHERE campaign_number = ANY ($1) ORDER BY campaign_number FOR UPDATE

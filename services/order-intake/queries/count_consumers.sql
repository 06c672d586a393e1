-- How many consumers have acknowledged anything. Asked only for one that has not yet; relies on the bound that this keeps.
SELECT count(DISTINCT consumer)
FROM feed_cursors

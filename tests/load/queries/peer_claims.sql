-- What the transactions left: claims made, and stock spent for them. The two are equal or the peer did not do the work it is credited with.
SELECT (SELECT count(*) FROM peer.claims) AS claims, (SELECT 1000000000 - remaining FROM peer.campaigns WHERE campaign_number = 1) AS spent

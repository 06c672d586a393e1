-- Notes which revision issuance's database has. It never goes back, whichever replica of quota is late.
UPDATE campaigns SET fenced_revision = $2 WHERE campaign_number = $1 AND fenced_revision < $2

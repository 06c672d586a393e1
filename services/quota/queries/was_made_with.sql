-- Whether these are the terms that a campaign was made with, which are others now. Relies on campaigns_pkey.
SELECT coalesce(made_with = sha256(convert_to($2, 'UTF8')), FALSE) FROM campaigns WHERE campaign_number = $1

-- Relies on the primary key deployment_is_one_row: the first writer decides, for ever.
INSERT INTO deployment (is_deployment, lanes) VALUES (TRUE, $1)
ON CONFLICT (is_deployment) DO NOTHING

-- Relies on fix_lanes having run in this database before.
SELECT lanes FROM deployment

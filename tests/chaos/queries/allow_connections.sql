-- Room for several replicas of each service at once, also while new ones stand beside old ones. Takes a restart.
ALTER SYSTEM SET max_connections = 700;

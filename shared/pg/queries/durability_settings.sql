-- Relies on nothing: every role may read these settings. They are this connection's own, so what a role or a database was given counts.
SELECT unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']),
    unnest(ARRAY[current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')])

-- Lets this transaction read a whole lane, for as long as $1 milliseconds; connections may otherwise only probe indexes.
SELECT set_config('statement_timeout', $1, TRUE), set_config('enable_seqscan', 'on', TRUE), set_config('enable_hashjoin', 'on', TRUE)

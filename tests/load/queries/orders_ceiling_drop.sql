-- What is measured next shall not share the cache with them.
DROP SCHEMA ceiling CASCADE

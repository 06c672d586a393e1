-- Nobody needs the rows any more, and the claims that are measured next shall not share the cache with them.
DROP SCHEMA peer CASCADE;

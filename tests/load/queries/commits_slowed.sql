-- Every commit of issuance waits for so many microseconds with its flush, as it would on a slow disk. Sessions that begin afterwards see it.
-- Both settings need a superuser, who also may give them to a database.
ALTER DATABASE tidegate_issuance SET commit_delay = 24000;
-- Also if nobody else is committing.
ALTER DATABASE tidegate_issuance SET commit_siblings = 0;

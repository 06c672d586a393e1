-- The timeline of the database on which a lane was committed to last. PostgreSQL begins another one when a standby is promoted or a backup is restored, and what was committed last may be gone then: a
-- seal that was answered, or the tombstone of a lease that had not arrived. A writer that finds another timeline seals every open lease of its lane before it commits anything, and a lease that was
-- asked for on an earlier one arrives sealed.
CREATE TABLE lane_timelines (
    lane smallint NOT NULL CONSTRAINT lane_timelines_pkey PRIMARY KEY,
    timeline integer NOT NULL
);

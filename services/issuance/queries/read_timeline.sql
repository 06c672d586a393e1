-- The timeline on which a lane was committed to last; no row before its first writer came.
-- Relies on lane_timelines_pkey.
SELECT timeline FROM lane_timelines WHERE lane = $1

-- Notes the server's timeline for a lane; no row if another writer has noted it before.
-- Relies on lane_timelines_pkey. The row stays locked until the transaction ends, so an installation is either committed before, and its lease is seen by the statements that follow, or finds the new timeline.
INSERT INTO lane_timelines (lane, timeline) VALUES ($1, $2)
ON CONFLICT (lane) DO UPDATE SET timeline = excluded.timeline
WHERE lane_timelines.timeline <> excluded.timeline
RETURNING lane

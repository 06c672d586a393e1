-- Relies on campaigns_by_end. Callers at the same time do not see each other, so the bound made of it may be passed by as many.
SELECT count(*) FROM campaigns WHERE closes_at > $1

-- The waiting room of a campaign; made when somebody first has to wait. Whoever changes it, its reports or its marks holds the row's lock; of several campaigns, taken in the order of their numbers.
CREATE TABLE queues (
    campaign_number integer NOT NULL CONSTRAINT queues_pkey PRIMARY KEY CONSTRAINT queues_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    is_queueing boolean NOT NULL DEFAULT FALSE,
    -- The queue's own time, which never goes back, and when it was moved last by the clock of the replica that did.
    clock_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_clock_is_not_negative CHECK (clock_ms >= 0),
    moved_at timestamptz,
    -- How much of that time it served nobody; the rest is its serving time, by which turns expire.
    held_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_held_is_not_negative CHECK (held_ms >= 0),
    -- Turns of earlier cohorts have come, and those of this one whose draw is less.
    watermark_cohort bigint NOT NULL DEFAULT 0 CONSTRAINT queues_watermark_cohort_is_not_negative CHECK (watermark_cohort >= 0),
    watermark_draw bigint NOT NULL DEFAULT 0 CONSTRAINT queues_watermark_draw_in_range CHECK (watermark_draw BETWEEN 0 AND 4294967295),
    -- Of late, the newest weighing most.
    promises_ended double precision NOT NULL DEFAULT 0,
    promises_kept double precision NOT NULL DEFAULT 0,
    -- The extremes of the span under way and of the one before.
    recent_slowest_per_second double precision NOT NULL DEFAULT 0,
    recent_fastest_per_second double precision NOT NULL DEFAULT 0,
    recent_span_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_recent_span_is_not_negative CHECK (recent_span_ms >= 0),
    earlier_slowest_per_second double precision NOT NULL DEFAULT 0,
    earlier_fastest_per_second double precision NOT NULL DEFAULT 0,
    earlier_span_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_earlier_span_is_not_negative CHECK (earlier_span_ms >= 0)
)
-- Every row changes several times a second: room on the page keeps those updates out of the index.
WITH (fillfactor = 20);

-- What each gateway reported last of a queue. Of the cohorts in which somebody waits, the arrays say who, in the same order.
CREATE TABLE queue_reports (
    campaign_number integer NOT NULL CONSTRAINT queue_reports_belong_to_a_queue REFERENCES queues (campaign_number) ON DELETE CASCADE,
    gateway_id text NOT NULL,
    report_number bigint NOT NULL CONSTRAINT queue_reports_number_is_positive CHECK (report_number > 0),
    -- By this database's clock.
    reported_at timestamptz NOT NULL,
    can_take double precision NOT NULL,
    served_per_second double precision NOT NULL,
    able_per_second double precision NOT NULL,
    at_door bigint NOT NULL,
    watermark_cohort bigint NOT NULL,
    watermark_draw bigint NOT NULL CONSTRAINT queue_reports_watermark_draw_in_range CHECK (watermark_draw BETWEEN 0 AND 4294967295),
    due_soon bigint NOT NULL,
    cohorts bigint[] NOT NULL,
    held bigint[] NOT NULL,
    promised bigint[] NOT NULL,
    promised_soon bigint[] NOT NULL,
    promises_ended bigint NOT NULL,
    promises_kept bigint NOT NULL,
    -- For staff who look: it counts only when it is taken in.
    wanted_queue boolean NOT NULL DEFAULT FALSE,
    CONSTRAINT queue_reports_pkey PRIMARY KEY (campaign_number, gateway_id),
    CONSTRAINT queue_reports_counts_are_not_negative CHECK (least(at_door, watermark_cohort, due_soon, promises_ended, promises_kept) >= 0),
    CONSTRAINT queue_reports_arrays_match CHECK (
        cardinality(held) = cardinality(cohorts) AND cardinality(promised) = cardinality(cohorts) AND cardinality(promised_soon) = cardinality(cohorts)
    )
)
WITH (fillfactor = 20);

-- How far the turns had come by the end of each second of serving time in which a queue was moved.
CREATE TABLE queue_marks (
    campaign_number integer NOT NULL CONSTRAINT queue_marks_belong_to_a_queue REFERENCES queues (campaign_number) ON DELETE CASCADE,
    serving_second bigint NOT NULL CONSTRAINT queue_marks_second_is_not_negative CHECK (serving_second >= 0),
    watermark_cohort bigint NOT NULL CONSTRAINT queue_marks_cohort_is_not_negative CHECK (watermark_cohort >= 0),
    watermark_draw bigint NOT NULL CONSTRAINT queue_marks_draw_in_range CHECK (watermark_draw BETWEEN 0 AND 4294967295),
    CONSTRAINT queue_marks_pkey PRIMARY KEY (campaign_number, serving_second)
);

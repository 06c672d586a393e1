-- The waiting room of a campaign; made when somebody first has to wait. Whoever changes it, or its cohorts, holds the row's lock; of several campaigns, taken in the order of their numbers.
CREATE TABLE queues (
    campaign_number integer NOT NULL CONSTRAINT queues_pkey PRIMARY KEY CONSTRAINT queues_belong_to_a_campaign REFERENCES campaigns (campaign_number),
    is_queueing boolean NOT NULL DEFAULT FALSE,
    -- The queue's own time, which never goes back, and when it was moved last by the clock of the replica that did.
    clock_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_clock_is_not_negative CHECK (clock_ms >= 0),
    moved_at timestamptz,
    -- How much of that time it served nobody; the rest is its serving time, by which turns expire.
    held_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_held_is_not_negative CHECK (held_ms >= 0),
    -- Tickets of earlier cohorts are due, and those of this one whose draw is less.
    watermark_cohort bigint NOT NULL DEFAULT 0 CONSTRAINT queues_watermark_cohort_is_not_negative CHECK (watermark_cohort >= 0),
    watermark_draw bigint NOT NULL DEFAULT 0 CONSTRAINT queues_watermark_draw_in_range CHECK (watermark_draw BETWEEN 0 AND 4294967295),
    oldest_cohort bigint NOT NULL DEFAULT 0 CONSTRAINT queues_oldest_cohort_is_not_negative CHECK (oldest_cohort >= 0),
    -- Grows with every change of a cohort.
    version bigint NOT NULL DEFAULT 0 CONSTRAINT queues_version_is_not_negative CHECK (version >= 0),
    quiet_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_quiet_is_not_negative CHECK (quiet_ms >= 0),
    pace_per_second double precision NOT NULL DEFAULT 0,
    felt_per_second double precision NOT NULL DEFAULT 0,
    used_per_second double precision NOT NULL DEFAULT 0,
    joined_per_second double precision NOT NULL DEFAULT 0,
    kept_per_second double precision NOT NULL DEFAULT 0,
    -- By what share of the turns that come are used.
    shown_due_per_second double precision NOT NULL DEFAULT 0,
    shown_used_per_second double precision NOT NULL DEFAULT 0,
    -- What issuance does, for how long that was counted, for how long claims have had to wait there, and what it can do: not known until they had to once.
    issued_per_second double precision NOT NULL DEFAULT 0,
    issued_counted_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_issued_counted_is_not_negative CHECK (issued_counted_ms >= 0),
    issued_loaded_ms bigint NOT NULL DEFAULT 0 CONSTRAINT queues_issued_loaded_is_not_negative CHECK (issued_loaded_ms >= 0),
    issued_most_per_second double precision,
    issued_usual_per_second double precision,
    delay_us bigint,
    delay_age_ms bigint,
    -- The extremes of the span under way and of the one before.
    recent_slowest_per_second double precision NOT NULL DEFAULT 0,
    recent_fastest_per_second double precision NOT NULL DEFAULT 0,
    recent_span_ms bigint NOT NULL DEFAULT 0,
    earlier_slowest_per_second double precision NOT NULL DEFAULT 0,
    earlier_fastest_per_second double precision NOT NULL DEFAULT 0,
    CONSTRAINT queues_delay_has_an_age CHECK ((delay_us IS NULL) = (delay_age_ms IS NULL))
)
-- Every row changes several times a second: room on the page keeps those updates out of the index.
WITH (fillfactor = 20);

-- The tickets that were handed out in one second of a campaign's queue; cohort 0 holds those from before the opening.
CREATE TABLE queue_cohorts (
    campaign_number integer NOT NULL CONSTRAINT queue_cohorts_belong_to_a_queue REFERENCES queues (campaign_number),
    cohort bigint NOT NULL CONSTRAINT queue_cohorts_number_is_not_negative CHECK (cohort >= 0),
    joined_count bigint NOT NULL CONSTRAINT queue_cohorts_joined_is_not_negative CHECK (joined_count >= 0),
    -- May exceed those that joined for a moment: gateways report independently.
    left_count bigint NOT NULL CONSTRAINT queue_cohorts_left_is_not_negative CHECK (left_count >= 0),
    -- The second of the queue's serving time in which the last ticket of this cohort became due.
    due_second bigint CONSTRAINT queue_cohorts_due_second_is_not_negative CHECK (due_second >= 0),
    -- The version of the queue that this row became so with; every change has its own.
    version bigint NOT NULL CONSTRAINT queue_cohorts_version_is_positive CHECK (version > 0),
    CONSTRAINT queue_cohorts_pkey PRIMARY KEY (campaign_number, cohort)
);

-- Gateways are told what changed since the version they know.
CREATE INDEX queue_cohorts_by_version ON queue_cohorts (campaign_number, version);

-- The last report of each gateway that was counted, so that none is counted twice.
CREATE TABLE queue_reporters (
    gateway_id text NOT NULL CONSTRAINT queue_reporters_pkey PRIMARY KEY,
    report_number bigint NOT NULL CONSTRAINT queue_reporters_number_is_positive CHECK (report_number > 0),
    reported_at timestamptz NOT NULL
)
WITH (fillfactor = 50);

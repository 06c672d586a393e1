-- Stores keep the hours of their own clocks: a time zone, hours by weekday, closed days.

ALTER TABLE stores
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    -- Three numbers a stretch: weekday (1 is Monday), opening minute and closing minute of the day.
    ADD COLUMN weekly_hours smallint[] NOT NULL DEFAULT '{}',
    ADD COLUMN closed_days date[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT stores_weekly_hours_are_threes CHECK (cardinality(weekly_hours) % 3 = 0 AND cardinality(weekly_hours) <= 84) NOT VALID,
    ADD CONSTRAINT stores_closed_days_in_bounds CHECK (cardinality(closed_days) <= 400) NOT VALID;

-- A fixed offset becomes a zone whose clocks are that far ahead today: of whole hours one that is
-- never
-- changed (the sign in its name is turned round), of others the place that has it. An offset that
-- no
-- place has becomes that of the nearest hour.
UPDATE stores SET
    time_zone = CASE utc_offset_minutes
        WHEN 0 THEN 'UTC'
        WHEN 480 THEN 'Asia/Shanghai'
        WHEN -570 THEN 'Pacific/Marquesas'
        WHEN -210 THEN 'America/St_Johns'
        WHEN 210 THEN 'Asia/Tehran'
        WHEN 270 THEN 'Asia/Kabul'
        WHEN 330 THEN 'Asia/Kolkata'
        WHEN 345 THEN 'Asia/Kathmandu'
        WHEN 390 THEN 'Asia/Yangon'
        WHEN 525 THEN 'Australia/Eucla'
        WHEN 570 THEN 'Australia/Darwin'
        WHEN 630 THEN 'Australia/Lord_Howe'
        WHEN 765 THEN 'Pacific/Chatham'
        ELSE CASE
            WHEN round(utc_offset_minutes / 60.0) > 0 THEN 'Etc/GMT-' || round(utc_offset_minutes / 60.0)::integer
            WHEN round(utc_offset_minutes / 60.0) < 0 THEN 'Etc/GMT+' || -round(utc_offset_minutes / 60.0)::integer
            ELSE 'UTC'
        END
    END,
    -- The same minute twice was always open, which no hours at all are now.
    weekly_hours = CASE WHEN opens_at_minute = closes_at_minute THEN '{}' ELSE ARRAY[
        1, opens_at_minute, closes_at_minute, 2, opens_at_minute, closes_at_minute, 3, opens_at_minute, closes_at_minute,
        4, opens_at_minute, closes_at_minute, 5, opens_at_minute, closes_at_minute, 6, opens_at_minute, closes_at_minute,
        7, opens_at_minute, closes_at_minute
    ]::smallint[] END;

-- opens_at_minute, closes_at_minute and utc_offset_minutes stay for replicas of the version before,
-- while they are replaced. Nothing reads them any more, and a later migration can drop them.

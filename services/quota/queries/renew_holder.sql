-- Relies on holders_pkey: of two at the same time both count.
INSERT INTO holders (holder_id, beats) VALUES ($1, 1) ON CONFLICT (holder_id) DO UPDATE SET beats = holders.beats + 1

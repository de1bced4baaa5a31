-- Whether an outcome is one of planning that failed: '', 'waits' or 'given up'.
ALTER TABLE outcomes ADD COLUMN stuck TEXT NOT NULL DEFAULT '';
-- When a dispatch was last to be planned, which may be later than it came; 0 for
-- those that came before this was kept.
ALTER TABLE dispatches ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;

-- The bulk run that a dispatch came with, and that an upgrade is limited by in
-- place of its repository; '' for none.
ALTER TABLE dispatches ADD COLUMN run TEXT NOT NULL DEFAULT '';
ALTER TABLE upgrades ADD COLUMN run TEXT NOT NULL DEFAULT '';
CREATE INDEX upgrades_run ON upgrades (run, started) WHERE run <> '';

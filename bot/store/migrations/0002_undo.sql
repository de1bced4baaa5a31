ALTER TABLE upgrades ADD COLUMN undo BIGINT NOT NULL DEFAULT 0;
CREATE INDEX upgrades_undo ON upgrades (repository, undo);
DROP INDEX upgrades_unmerged;
CREATE UNIQUE INDEX upgrades_unmerged ON upgrades (repository, service, lane) WHERE final = 0 AND state IN ('queued', 'open', 'backing up', 'aborted');

ALTER TABLE upgrades ADD COLUMN ladder TEXT NOT NULL DEFAULT '';
ALTER TABLE upgrades ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
CREATE INDEX upgrades_ladder ON upgrades (ladder) WHERE ladder <> '';

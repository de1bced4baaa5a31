CREATE TABLE dispatches (
  id          TEXT PRIMARY KEY,
  image       TEXT NOT NULL,
  tag         TEXT NOT NULL,
  digest      TEXT NOT NULL,
  status      TEXT NOT NULL,
  provider    TEXT NOT NULL,
  hub_link    TEXT NOT NULL,
  source      TEXT NOT NULL,
  repository  TEXT NOT NULL,
  received    BIGINT NOT NULL,
  done        BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX dispatches_received ON dispatches (received);
CREATE INDEX dispatches_open ON dispatches (received) WHERE done = 0;

CREATE TABLE outcomes (
  dispatch    TEXT NOT NULL REFERENCES dispatches (id) ON DELETE CASCADE,
  repository  TEXT NOT NULL,
  position    BIGINT NOT NULL,
  service     TEXT NOT NULL,
  upgrade     TEXT NOT NULL,
  reason      TEXT NOT NULL,
  path        TEXT NOT NULL,
  line        BIGINT NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (dispatch, repository, position)
);

CREATE TABLE upgrades (
  id          TEXT PRIMARY KEY,
  repository  TEXT NOT NULL,
  service     TEXT NOT NULL,
  lane        TEXT NOT NULL,
  state       TEXT NOT NULL,
  from_version TEXT NOT NULL,
  to_version  TEXT NOT NULL,
  pull        BIGINT NOT NULL,
  final       BIGINT NOT NULL,
  wake        BIGINT NOT NULL,
  started     BIGINT NOT NULL,
  created     BIGINT NOT NULL,
  updated     BIGINT NOT NULL,
  version     BIGINT NOT NULL,
  data        TEXT NOT NULL
);
CREATE UNIQUE INDEX upgrades_unmerged ON upgrades (repository, service, lane) WHERE final = 0 AND state NOT IN ('applying', 'watching');
CREATE INDEX upgrades_open ON upgrades (repository, created) WHERE final = 0;
CREATE INDEX upgrades_pull ON upgrades (repository, pull);
CREATE INDEX upgrades_started ON upgrades (repository, started);
CREATE INDEX upgrades_updated ON upgrades (updated);

CREATE TABLE events (
  id          SERIAL,
  upgrade     TEXT NOT NULL REFERENCES upgrades (id) ON DELETE CASCADE,
  at          BIGINT NOT NULL,
  who         TEXT NOT NULL,
  what        TEXT NOT NULL,
  why         TEXT NOT NULL,
  data        TEXT NOT NULL
);
CREATE INDEX events_upgrade ON events (upgrade, id);

CREATE TABLE blocks (
  repository  TEXT NOT NULL,
  service     TEXT NOT NULL,
  image       TEXT NOT NULL,
  target      TEXT NOT NULL,
  why         TEXT NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (repository, service, image, target)
);

CREATE TABLE facts (
  name        TEXT PRIMARY KEY,
  value       TEXT NOT NULL
);

CREATE TABLE remembered (
  name        TEXT PRIMARY KEY,
  until       BIGINT NOT NULL
);
CREATE INDEX remembered_until ON remembered (until);

CREATE TABLE claims (
  name        TEXT PRIMARY KEY,
  owner       TEXT NOT NULL,
  until       BIGINT NOT NULL
);

-- How often an upgrade was to be looked at again: what grows during a look
-- leads to another one.
CREATE TABLE wakes (
  upgrade     TEXT PRIMARY KEY,
  asked       BIGINT NOT NULL
);

-- Times in which belay opens and merges nothing in a repository, or in any ('').
-- What has ended stays, for the audit.
CREATE TABLE freezes (
  id          SERIAL,
  repository  TEXT NOT NULL,
  who         TEXT NOT NULL,
  reason      TEXT NOT NULL,
  at          BIGINT NOT NULL,
  ended       BIGINT NOT NULL DEFAULT 0,
  ended_by    TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX freezes_one ON freezes (LOWER(repository)) WHERE ended = 0;

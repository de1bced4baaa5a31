-- A dispatch may speak of a Helm chart in place of an image.
ALTER TABLE dispatches ADD COLUMN chart TEXT NOT NULL DEFAULT '';
ALTER TABLE dispatches ADD COLUMN chart_repository TEXT NOT NULL DEFAULT '';

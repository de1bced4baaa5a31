-- What is open for a service, and what was, is asked with every dispatch and every look.
CREATE INDEX upgrades_service ON upgrades (repository, service);

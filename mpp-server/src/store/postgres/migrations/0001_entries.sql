-- Never to be changed: databases remember what they were made by. What is new is a new file.
CREATE SEQUENCE mpp_version;

CREATE TABLE mpp_entry (
    store   bytea NOT NULL,
    key     bytea NOT NULL,
    version bigint NOT NULL,
    value   bytea NOT NULL,
    until   timestamptz,
    PRIMARY KEY (store, key)
) WITH (fillfactor = 70);

CREATE INDEX mpp_entry_until ON mpp_entry (until) WHERE until IS NOT NULL;

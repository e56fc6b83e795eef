//! The statements. Each is a transaction of its own, so each swap is atomic by itself.
//!
//! A row past its time counts as absent to all of them, whether or not it was swept.

/// Writes an entry where none is, and over one that is past its time.
pub(super) const CREATE: &str = "
    INSERT INTO mpp_entry AS held (store, key, version, value, until)
    VALUES ($1, $2, nextval('mpp_version'), $3, clock_timestamp() + $4::bigint * interval '1 millisecond')
    ON CONFLICT (store, key) DO UPDATE
    SET version = excluded.version, value = excluded.value, until = excluded.until
    WHERE held.until < now()
    RETURNING held.version";

/// Writes over an entry.
pub(super) const REPLACE: &str = "
    UPDATE mpp_entry
    SET version = nextval('mpp_version'), value = $4,
        until = clock_timestamp() + $5::bigint * interval '1 millisecond'
    WHERE store = $1 AND key = $2 AND version = $3 AND (until IS NULL OR until >= now())
    RETURNING version";

/// Removes an entry.
pub(super) const REMOVE: &str = "
    DELETE FROM mpp_entry
    WHERE store = $1 AND key = $2 AND version = $3 AND (until IS NULL OR until >= now())
    RETURNING nextval('mpp_version') AS version";

/// Removes what is not there.
pub(super) const CONFIRM_ABSENCE: &str = "
    SELECT nextval('mpp_version') AS version
    WHERE NOT EXISTS (
        SELECT FROM mpp_entry
        WHERE store = $1 AND key = $2 AND (until IS NULL OR until >= now()))";

/// Reads an entry.
pub(super) const GET: &str = "
    SELECT version, value FROM mpp_entry
    WHERE store = $1 AND key = $2 AND (until IS NULL OR until >= now())";

/// Reads entries: one key, and a range.
pub(super) const SCAN: &str = "
    SELECT key, version, value FROM mpp_entry
    WHERE store = $1 AND (key = $2 OR key >= $3 AND key < $4) AND (until IS NULL OR until >= now())
    ORDER BY key LIMIT $5";

/// Forgets what is past its time, of all stores, a step of it.
pub(super) const SWEEP: &str = "
    DELETE FROM mpp_entry
    WHERE until < now() AND (store, key) IN (
        SELECT store, key FROM mpp_entry WHERE until < now()
        ORDER BY until LIMIT 1000 FOR UPDATE SKIP LOCKED)";

/// Tells which entries changed.
pub(super) const TELL: &str = "SELECT pg_notify($1, key) FROM unnest($2::text[]) AS key";

//! The tables, and how they came to be what they are.

use mpp_core::store::StoreError;
use sqlx::{
    PgPool, SqlSafeStr,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

/// Brings the tables to the newest form. Processes that start together take turns.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.iter().zip(1..).map(|((name, sql), number)| {
        let kind = MigrationType::Simple;
        Migration::new(number, (*name).into(), kind, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // An application that migrates its own tables with the same tool has one by the usual name.
    migrator.dangerous_set_table_name(TABLE);
    let what = "the tables mpp_… of the database".to_owned();
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => StoreError::Newer {
            what,
            found: u64::try_from(found).unwrap_or_default(),
            known: MIGRATIONS.len() as u64,
        },
        MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => {
            StoreError::corrupt(what, error)
        }
        error => StoreError::unavailable(error),
    })
}

/// In order. Only ever added to.
const MIGRATIONS: &[(&str, &str)] = &[("entries", include_str!("migrations/0001_entries.sql"))];

const TABLE: &str = "mpp_migrations";

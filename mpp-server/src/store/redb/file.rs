//! The file: its tables, its form, and what can be wrong with it.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use ::redb::{
    Builder, Database, DatabaseError, Error, ReadOnlyTable, ReadableDatabase, StorageError,
    TableDefinition, WriteTransaction,
};
use mpp_core::store::StoreError;

/// Entries, framed, by key.
pub(super) const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
/// Entries that expire, by when the file's own clock will say so; the value is what the writers' clock must say.
pub(super) const EXPIRING: TableDefinition<'_, (u64, &str), i64> = TableDefinition::new("expiring");
/// Numbers of the file as a whole.
pub(super) const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

/// The form of the tables.
pub(super) const FORM: &str = "form";
/// The version that was used last; no version is used twice, so it only grows.
pub(super) const VERSION: &str = "version";
/// For how many milliseconds the file has been open, in all.
pub(super) const OPEN: &str = "open";

/// An open file.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
    path: PathBuf,
    broken: AtomicBool,
}

impl File {
    /// Opens it, or makes it whole and then puts it in place, so that a crash leaves no half of one.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let named = |error: DatabaseError| opening(&path, error);
        match fs::metadata(&path) {
            Ok(found) if found.len() == 0 => {
                return Err(StoreError::corrupt(
                    path.display().to_string(),
                    "it is empty, which no store ever is; remove it to begin with a new one",
                ));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
            Err(error) => return Err(named(DatabaseError::Storage(StorageError::Io(error)))),
        }
        let database = builder().open(&path).map_err(named)?;
        let file = Self { database, path, broken: AtomicBool::new(false) };
        file.check_form()?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a transaction that is on the disk once it is committed.
    pub(super) fn writing(&self) -> Result<WriteTransaction, Error> {
        Ok(self.database.begin_write()?)
    }

    /// Reads entries as they were last committed.
    pub(super) fn reading<T>(
        &self,
        read: impl FnOnce(&ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.contain(|| {
            let entries = self.database.begin_read()?.open_table(ENTRIES)?;
            read(&entries)
        })
    }

    /// Runs what touches pages. Redb may panic over one that is not as it was written; what it then holds is unknown, so
    /// from there on the file is not used.
    pub(super) fn contain<T>(
        &self,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(self.unusable());
        }
        match catch_unwind(AssertUnwindSafe(act)) {
            Ok(done) => done.map_err(|error| self.explain(error)),
            Err(_) => {
                self.broken.store(true, Ordering::Relaxed);
                Err(self.corrupt("a page of it does not read"))
            }
        }
    }

    /// The writer is gone.
    pub(super) fn ended(&self) -> StoreError {
        if self.broken.load(Ordering::Relaxed) {
            return self.unusable();
        }
        StoreError::unavailable(format!("{} is closed", self.path.display()))
    }

    fn check_form(&self) -> Result<(), StoreError> {
        const KNOWN: u64 = super::super::frame::FORM as u64;
        let form = self.contain(|| {
            let facts = self.database.begin_read()?.open_table(FACTS)?;
            Ok(facts.get(FORM)?.map(|form| form.value()))
        })?;
        match form {
            Some(1..=KNOWN) => Ok(()),
            Some(found) if found > KNOWN => {
                let what = self.path.display().to_string();
                Err(StoreError::Newer { what, found, known: KNOWN })
            }
            _ => Err(self.corrupt("it does not say of which form it is")),
        }
    }

    fn explain(&self, error: Error) -> StoreError {
        match error {
            Error::Io(error) if !is_nonsense(&error) => self.unavailable(error),
            Error::PreviousIo | Error::DatabaseClosed => self.unavailable(error),
            other => self.corrupt(other),
        }
    }

    fn unusable(&self) -> StoreError {
        self.unavailable("it broke, and is not used until it is opened again")
    }

    fn unavailable(
        &self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError::unavailable(format!("{}: {}", self.path.display(), cause.into()))
    }

    fn corrupt(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::corrupt(self.path.display().to_string(), cause)
    }
}

/// Makes a new store beside its place, and links it there only if nothing is there by then.
fn make(path: &Path) -> Result<(), StoreError> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut stage = path.as_os_str().to_owned();
    stage.push(format!(".{}-{}.new", process::id(), MADE.fetch_add(1, Ordering::Relaxed)));
    let stage = PathBuf::from(stage);
    let made = fill(&stage).and_then(|()| match fs::hard_link(&stage, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    });
    // What is left of it would be in nobody's way.
    let _ = fs::remove_file(&stage);
    made.map_err(|error| {
        StoreError::unavailable(format!("{} cannot be made: {error}", path.display()))
    })?;
    // The entry in the folder must survive too; where folders cannot be synced, this is as far as it goes.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let _ = fs::File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    Ok(())
}

fn fill(stage: &Path) -> Result<(), Error> {
    // Of a process that had this number before, and was killed.
    let _ = fs::remove_file(stage);
    let database = builder().create(stage)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(EXPIRING)?;
    transaction.open_table(FACTS)?.insert(FORM, u64::from(super::super::frame::FORM))?;
    transaction.commit()?;
    Ok(())
}

fn builder() -> Builder {
    const CACHE: usize = 64 << 20;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    // Reads the whole file once. Without it a damaged page is not seen, and an entry on it is absent: a used payment
    // would be good again.
    builder.set_check_integrity_on_open(true);
    builder
}

fn opening(path: &Path, error: DatabaseError) -> StoreError {
    let name = path.display().to_string();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::unavailable(format!(
                "{name} is open already, here or in another process; one at a time can have it"
            ))
        }
        DatabaseError::Storage(StorageError::Io(error)) if !is_nonsense(&error) => {
            StoreError::unavailable(format!("{name}: {error}"))
        }
        other => StoreError::corrupt(name, other),
    }
}

/// Whether it is what was read that is wrong, and not the reading.
fn is_nonsense(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

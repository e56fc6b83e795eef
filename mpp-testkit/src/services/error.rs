//! Why there is no server.

use std::{io, path::PathBuf, time::Duration};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A program is not installed.
    #[error(
        "{program} is missing: install the Debian package {package}, or run `cargo xtask services`"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// What brings it.
        package: &'static str,
    },
    /// Neither was told where to build, nor built by cargo, nor run in a workspace.
    #[error("there is no target directory to keep data in")]
    NoTargetDirectory,
    /// The folder for its data cannot be made.
    #[error("{path} cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program could not be run.
    #[error("{program} could not be run")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program ended that should not have.
    #[error("{program} ended; it said:\n{said}")]
    Exited {
        /// The program.
        program: String,
        /// The last lines of its output.
        said: String,
    },
    /// It was not ready in time.
    #[error("{program} was not ready after {after:?}")]
    Deadline {
        /// The program.
        program: String,
        /// How long it was waited for.
        after: Duration,
    },
}

//! What can go wrong with a local chain, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

/// Why there is no chain, or why it did not do as asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// `MPP_ANVIL` points nowhere.
    #[error("MPP_ANVIL names {}, which is not a file: correct it, or unset it to have the node installed", path.display())]
    NoSuchAnvil {
        /// What the variable says.
        path: PathBuf,
    },
    /// npm, which brings the node, could not be run.
    #[error("npm could not be run: install Node.js with npm, or name an anvil 1.7.1 in MPP_ANVIL")]
    Npm(#[source] io::Error),
    /// npm ran and failed.
    #[error(
        "npm could not install {package}: check the network, or name an anvil 1.7.1 in MPP_ANVIL; npm said: {said}"
    )]
    Install {
        /// Name and version of the package.
        package: String,
        /// The end of npm's output.
        said: String,
    },
    /// The package was installed, but brought no program for this machine.
    #[error("{package} has no program for {platform}: name one in MPP_ANVIL")]
    Platform {
        /// Name and version of the package.
        package: String,
        /// Operating system and processor, in the package's words.
        platform: String,
    },
    /// There is no cargo target directory to install into.
    #[error(
        "no cargo target directory was found to install the node into: set CARGO_TARGET_DIR or MPP_ANVIL"
    )]
    NoTargetDirectory,
    /// The folder of the installed node cannot be written.
    #[error("{} cannot be written", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node could not be started at all.
    #[error("the node could not be started (it is run by a POSIX `sh`)")]
    Spawn(#[source] io::Error),
    /// The server in front of the node could not listen.
    #[error("nothing could be put in front of the node: is the port taken?")]
    Front(#[source] io::Error),
    /// The node ended before it listened.
    #[error("the node ended before it listened; it said: {said}")]
    Exited {
        /// The end of its output.
        said: String,
    },
    /// The node did not do its work in time.
    #[error("the node did not answer within {after:?}: is the machine overloaded?")]
    Deadline {
        /// The time it was given.
        after: Duration,
    },
    /// The node was not reached.
    #[error("the node could not be reached for {method}")]
    Unreached {
        /// The JSON-RPC method.
        method: String,
        /// What the HTTP client said.
        source: reqwest::Error,
    },
    /// The node answered with an error.
    #[error("the node refused {method}: {message} ({code})")]
    Rpc {
        /// The JSON-RPC method.
        method: String,
        /// The JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
    /// The node answered something else than the method promises.
    #[error("the node's answer to {method} was not understood")]
    Answer {
        /// The JSON-RPC method.
        method: String,
    },
    /// An address was not 20 bytes of `0x` hex.
    #[error("{given:?} is not an address: give 0x and forty hex digits")]
    Address {
        /// What was given.
        given: String,
    },
    /// Nothing is kept of a channel.
    #[error("no contract of this chain knows the channel {id}")]
    NoChannel {
        /// The channel's id.
        id: alloy::primitives::B256,
    },
    /// A transaction was mined and failed.
    #[error("the transaction was mined and reverted: does the sender hold enough of the token?")]
    Reverted,
}

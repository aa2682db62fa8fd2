//! The demo's own directory: journal, ledgers, saga and orders. Must not live here: what is written there by others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::server::exit::Refusal;

/// A directory of this demo's, removed in the end unless it is to be kept.
pub(super) struct Workspace {
    root: PathBuf,
    keep: bool,
}

/// Names tried when an earlier process with our id left its directory behind.
const NAMES_MAX: u32 = 100;

impl Workspace {
    /// Makes a new directory, for this user only.
    pub(super) fn create(keep: bool) -> Result<Self, Refusal> {
        let parent = std::env::temp_dir();
        let failed = |path: &Path, error: &io::Error| {
            Refusal::failed(format!("cannot make the directory {}: {error}", path.display()))
                .hint("set TMPDIR to a directory that can be written")
        };
        for number in 0..NAMES_MAX {
            let root = parent.join(format!("amends-demo-{}-{number}", std::process::id()));
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            match builder.create(&root) {
                Ok(()) => return Ok(Self { root, keep }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&root, &error)),
            }
        }
        Err(failed(&parent, &io::ErrorKind::AlreadyExists.into()))
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(super) fn ledgers(&self) -> PathBuf {
        self.root.join("ledgers")
    }

    pub(super) fn saga_file(&self) -> PathBuf {
        self.root.join("saga.toml")
    }

    pub(super) fn orders_file(&self) -> PathBuf {
        self.root.join("orders.json")
    }

    pub(super) fn write(&self, file: &Path, text: &str) -> Result<(), Refusal> {
        fs::write(file, text).map_err(|error| Refusal::failed(format!("cannot write {}: {error}", file.display())))
    }

    /// Where everything stays, if it does.
    pub(super) fn kept(&self) -> Option<&Path> {
        self.keep.then_some(self.root.as_path())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.root)
        {
            tracing::warn!(%error, directory = %self.root.display(), "the demo's directory is left behind");
        }
    }
}

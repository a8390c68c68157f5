//! `[backup]` to [`BackupConfig`]: backups that the host makes by itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Errors, literal};
use super::paths::{overlap, resolve, settled};
use super::reader::Reader;

/// Backups that the host makes by itself. Source: `[backup]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupConfig {
    /// The folder of backups. Need not exist. Source: `to`.
    pub to: PathBuf,
    /// How often a snapshot is made: a second to 7 days, default 6 hours. Source: `every`.
    pub every: Duration,
    /// How often a copy is made between snapshots: a second to a day, default 15 minutes. Source: `journal_every`.
    pub journal_every: Duration,
    /// How often the newest is tried out: a second to 92 days, default 7 days. Source: `drill_every`.
    pub drill_every: Duration,
}

/// Default of [`BackupConfig::every`].
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// Default of [`BackupConfig::journal_every`].
const JOURNAL_EVERY: Duration = Duration::from_secs(15 * 60);
/// Default of [`BackupConfig::drill_every`].
const DRILL_EVERY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Reads `[backup]`, if there is one.
pub(super) fn read(
    root: &Reader<'_, '_>,
    root_path: &Path,
    state: &Path,
    errors: &mut Errors,
) -> Option<BackupConfig> {
    let table = root.table("backup", "`[backup]`".to_owned(), errors)?;
    let mut duration = |name: &str, default: Duration| {
        table
            .number(name, errors)
            .map_or(default, Duration::from_millis)
    };
    let every = duration("every", EVERY);
    let journal_every = duration("journal_every", JOURNAL_EVERY);
    let drill_every = duration("drill_every", DRILL_EVERY);
    let to = table.path("to", errors)?;
    let folder = resolve(root_path, to.get_ref());
    if overlap(&settled(&folder), &settled(state)) {
        errors
            .at(
                to.span(),
                format!(
                    "the folder {} of backups and the state folder are one within the other",
                    literal(to.get_ref())
                ),
            )
            .help("name a folder elsewhere, best on another disk: what takes the state folder takes what is in it, too");
    }
    Some(BackupConfig {
        to: folder,
        every,
        journal_every,
        drill_every,
    })
}

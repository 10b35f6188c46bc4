//! Files that are written whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file beside its place, then moves it there in one step; a link stays a link to what is
/// written. Pipes and devices are written to as they are, for there is nothing to replace.
///
/// # Errors
/// If the file system refuses; what was there before is then there still.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if std::fs::metadata(&target).is_ok_and(|known| !known.is_file()) {
        return std::fs::write(&target, bytes);
    }
    let temporary = temporary(&target);
    let written =
        write_synced(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, &target));
    if written.is_err() {
        // What is left of it is of no use; that it cannot go either changes nothing.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// A name beside `target` that no other writer of this machine uses now.
pub(crate) fn temporary(target: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}.tmp", std::process::id()));
    target.with_file_name(name)
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

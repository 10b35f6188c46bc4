//! Compiled GPU pipelines kept in a file from one process to the next.
//!
//! Drivers compile a kernel at its first use, which takes longer than running a small model. Vulkan can
//! hand out what it compiled; wgpu passes it on, and trusts what it is given back. So this crate alone
//! reads and writes the file, and reads only one that it wrote itself: sealed with a checksum, in a
//! folder and a file that nobody but their owner can write.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The first bytes of the file; the number counts forms of it.
const MAGIC: &[u8] = b"seqfuse pipelines 1\n";
/// A larger file is thrown away: no model has so many kernels, and drivers never drop any.
const LARGEST: u64 = 64 << 20;

/// The compiled pipelines of one adapter, and the file where they are kept.
#[derive(Debug)]
pub struct PipelineCache {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    was_read: bool,
    /// The checksum of what the file holds.
    kept: Mutex<Option<u32>>,
}

impl PipelineCache {
    /// The pipelines that `folder` keeps for an adapter; none at first. `None` where the adapter cannot
    /// hand out pipelines, or `device` was opened without [`wgpu::Features::PIPELINE_CACHE`]. A file that
    /// is damaged, of another driver or open to others is passed over, and replaced when they are saved.
    pub fn open(
        device: &wgpu::Device,
        adapter: &wgpu::AdapterInfo,
        folder: &Path,
    ) -> Option<PipelineCache> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(adapter)?);
        let data = read(&path).ok();
        // SAFETY: the data came from `PipelineCache::get_data`: the file has the checksum that `save` put
        // there, and only this process's user can have written it. wgpu checks adapter and driver itself.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("seqfuse"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        let kept = Mutex::new(data.as_deref().map(crc32fast::hash));
        Some(PipelineCache { cache, path, was_read: data.is_some(), kept })
    }

    /// What a pipeline is created with.
    pub fn handle(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Whether there was a file to start from.
    pub fn was_read(&self) -> bool {
        self.was_read
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the pipelines to the file, whole or not at all; whether there was anything new to write.
    ///
    /// # Errors
    /// If the folder cannot be made, or the file not written.
    pub fn save(&self) -> io::Result<bool> {
        let Some(data) = self.cache.get_data() else { return Ok(false) };
        let checksum = crc32fast::hash(&data);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept == Some(checksum) || data.len() as u64 > LARGEST {
            return Ok(false);
        }
        write(&self.path, &data, checksum)?;
        *kept = Some(checksum);
        Ok(true)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Whether it is this process's user who owns it, and nobody else can write there. Windows gives no such
/// bits; folders of a user are the user's own there.
fn is_private(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        metadata.mode() & 0o022 == 0 && metadata.uid() == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

/// What [`write`] wrote, without its seal.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let folder = path.parent().ok_or_else(|| damaged("no folder"))?;
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !is_private(&metadata) || !is_private(&fs::metadata(folder)?) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can write it"));
    }
    if metadata.len() > LARGEST + 64 {
        return Err(damaged("too large"));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.read_to_end(&mut bytes)?;
    let sealed = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("not a file of ours"))?;
    let (checksum, data) = sealed.split_first_chunk::<4>().ok_or_else(|| damaged("cut off"))?;
    match u32::from_le_bytes(*checksum) == crc32fast::hash(data) {
        true => Ok(data.to_vec()),
        false => Err(damaged("another checksum")),
    }
}

/// Writes a sealed file beside `path` and puts it in its place.
fn write(path: &Path, data: &[u8], checksum: u32) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| damaged("no folder"))?;
    make_private(folder)?;
    let temporary = path.with_extension(format!("{}.part", std::process::id()));
    let written = create(&temporary)
        .and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(&checksum.to_le_bytes())?;
            file.write_all(data)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made here").join("pipelines");
        (folder, path)
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_else_lies_there() {
        let (_folder, path) = place();
        let data: Vec<u8> = (0..=255).collect();
        write(&path, &data, crc32fast::hash(&data)).unwrap();
        assert_eq!(read(&path).unwrap(), data);
        write(&path, b"", crc32fast::hash(b"")).unwrap();
        assert_eq!(read(&path).unwrap(), b"");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let (_folder, path) = place();
        let data = [7; 100];
        write(&path, &data, crc32fast::hash(&data)).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read(&path).is_err(), "{cut} bytes");
            let mut changed = whole.clone();
            changed[cut] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(read(&path).is_err(), "byte {cut} changed");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_write_is_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = place();
        write(&path, b"data", crc32fast::hash(b"data")).unwrap();
        for open in [path.as_path(), path.parent().unwrap()] {
            let own = fs::metadata(open).unwrap().permissions();
            fs::set_permissions(open, fs::Permissions::from_mode(own.mode() | 0o022)).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            fs::set_permissions(open, own).unwrap();
            assert!(read(&path).is_ok());
        }
    }
}

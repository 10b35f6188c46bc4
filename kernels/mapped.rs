//! A part of a file, seen as memory.

use std::fs::File;
use std::io;

/// Lets `read` see `len` bytes of `file` from `offset` on, without copying them.
///
/// # Errors
/// If the file is shorter, or cannot be mapped.
pub fn with_part<R>(
    file: &File,
    offset: u64,
    len: usize,
    read: impl FnOnce(&[u8]) -> R,
) -> io::Result<R> {
    let size = file.metadata()?.len();
    if offset.checked_add(len as u64).is_none_or(|end| end > size) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if len == 0 {
        return Ok(read(&[]));
    }
    // SAFETY: the map is private to this call, read only, and within the file as it was measured above.
    // What no program can rule out is that another one changes the file meanwhile: then the bytes are
    // those of either state, which every reader of them must bear anyway, since they are data of a file.
    let part = unsafe { memmap2::MmapOptions::new().offset(offset).len(len).map(file)? };
    Ok(read(&part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn any_part_of_a_file_is_seen_and_none_beyond_it() {
        let path = std::env::temp_dir().join(format!("seqfuse-mapped-{}", std::process::id()));
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
        File::create(&path).and_then(|mut file| file.write_all(&bytes)).expect("a file is written");
        let file = File::open(&path).expect("the file is there");
        for (offset, len) in [(0, 10_000), (1, 1), (4095, 3), (5000, 0), (10_000, 0), (9_999, 1)] {
            let part = with_part(&file, offset, len, <[u8]>::to_vec).expect("it is in the file");
            assert_eq!(part, bytes[offset as usize..offset as usize + len]);
        }
        for (offset, len) in [(0, 10_001), (10_000, 1), (u64::MAX, 1), (u64::MAX, 0)] {
            assert!(with_part(&file, offset, len, |_| ()).is_err(), "{offset} and {len}");
        }
        std::fs::remove_file(&path).expect("the file goes");
    }
}

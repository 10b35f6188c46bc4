//! The sizes of the processor's caches.

use std::path::Path;

/// How many bytes each level of cache holds: of one core where each has its own, of all cores where
/// they share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// The first level, for data.
    pub l1: usize,
    /// The second level.
    pub l2: usize,
    /// The third level; that of the second where there is none.
    pub l3: usize,
    /// Whether the system told them; else they are what many processors have.
    pub known: bool,
}

impl Caches {
    /// The caches of the first core.
    pub fn detect() -> Caches {
        // Linux says it here; other systems have no file for it.
        Caches::read(Path::new("/sys/devices/system/cpu/cpu0/cache"))
    }

    /// The caches that a folder in the form of Linux's describes.
    fn read(folder: &Path) -> Caches {
        let mut sizes = [0; 3];
        for index in 0..8 {
            let read = |name: &str| {
                let path = folder.join(format!("index{index}")).join(name);
                std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
            };
            let level = read("level").parse::<usize>().unwrap_or(0);
            if read("type") != "Instruction"
                && let Some(size) = level.checked_sub(1).and_then(|level| sizes.get_mut(level))
            {
                *size = bytes(&read("size")).unwrap_or(0).max(*size);
            }
        }
        match sizes {
            [0, ..] | [_, 0, _] => Caches { l1: 32 << 10, l2: 1 << 20, l3: 16 << 20, known: false },
            [l1, l2, l3] => Caches { l1, l2, l3: l3.max(l2), known: true },
        }
    }
}

/// `48K`, `2M`.
fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = match text.strip_suffix('K') {
        Some(number) => (number, 1 << 10),
        None => match text.strip_suffix('M') {
            Some(number) => (number, 1 << 20),
            None => (text, 1),
        },
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("48K"), Some(48 << 10));
        assert_eq!(bytes("2M"), Some(2 << 20));
        assert_eq!(bytes("512"), Some(512));
        assert_eq!(bytes(""), None);
        assert_eq!(bytes("99999999999999999999K"), None);
    }

    #[test]
    fn where_nothing_is_told_common_sizes_stand() {
        let caches = Caches::read(Path::new("no such folder"));
        assert!(!caches.known);
        assert!(caches.l1 < caches.l2 && caches.l2 < caches.l3);
    }

    #[test]
    fn levels_grow() {
        let Caches { l1, l2, l3, .. } = Caches::detect();
        assert!(0 < l1 && l1 <= l2 && l2 <= l3, "{l1} {l2} {l3}");
    }
}

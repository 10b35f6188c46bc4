//! For the table in the documentation: which options each class reads, as the readers themselves say.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It has no influence on results.
    Ignored,
    /// One value alone is accepted.
    Only,
    /// It is honoured.
    Honoured,
    /// It acts in training alone, and is honoured there or refused.
    Training,
}

/// The uses of options, by class and name.
pub type Record = BTreeMap<String, BTreeMap<String, Use>>;

thread_local! {
    static RECORD: RefCell<Record> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes what becomes of an option: the most that any layer of the class makes of it.
pub fn note(class: &str, option: &str, found: Use) {
    RECORD.with_borrow_mut(|record| {
        let options = record.entry(class.to_owned()).or_default();
        let noted = options.entry(option.to_owned()).or_insert(found);
        *noted = found.max(*noted);
    });
}

/// What this thread has noted so far.
pub fn taken() -> Record {
    RECORD.take()
}

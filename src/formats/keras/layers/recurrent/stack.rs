//! What `RNN` is given: one cell, or a stack of them, in which each cell takes the output of the
//! one below at the same step.

use std::collections::HashSet;

use super::cell::Cell;
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, LayerKind, Options};
use crate::formats::keras::naming::Folders;

/// The cells in option `cell` of an `RNN`, the lowest first; stacks within stacks in place.
///
/// # Errors
/// If a class is none of Keras's own cells, or an option is not honoured.
pub fn cells(options: &Options<'_>) -> Result<Vec<Cell>, FormatError> {
    let config = options.layer("cell")?;
    let mut found = Found::default();
    found.add(&config, "cell".to_owned(), config.name.clone())?;
    match found.cells.is_empty() {
        true => Err(options.bad("cell", "at least one cell")),
        false => Ok(found.cells),
    }
}

#[derive(Default)]
struct Found {
    cells: Vec<Cell>,
    objects: HashSet<u64>,
    names: HashSet<String>,
}

impl Found {
    fn add(
        &mut self,
        config: &LayerConfig,
        folder: String,
        name: String,
    ) -> Result<(), FormatError> {
        if !matches!(config.kind, LayerKind::Layer) {
            return Err(config.unknown());
        }
        if config.shared_object_id.is_some_and(|id| !self.objects.insert(id)) {
            return Err(FormatError::Call {
                layer: config.name.clone(),
                problem: "one cell object stands twice in a stack; give each place a cell of its \
                          own, and save again"
                    .to_owned(),
            });
        }
        if config.class_name != "StackedRNNCells" {
            // Keras lets two cells of a stack have one name.
            let mut unique = name.clone();
            for number in 1.. {
                if self.names.insert(unique.clone()) {
                    break;
                }
                unique = format!("{name}_{number}");
            }
            self.cells.push(Cell::parse(config, folder, unique)?);
            return Ok(());
        }
        let options = config.options();
        let mut folders = Folders::new();
        for cell in options.layers("cells")? {
            let below = format!("{folder}/cells/{}", folders.next(&cell.class_name));
            self.add(&cell, below, format!("{name}/{}", cell.name))?;
        }
        options.finish()
    }
}

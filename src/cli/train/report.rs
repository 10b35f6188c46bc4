//! What training came to, as a table.

use std::path::Path;

use super::progress::brief;
use crate::cli::COLUMNS;
use crate::cli::table::{Align, Table};
use crate::train::History;

/// Loss and metrics of the first, the last and the best epoch, and where the model is.
pub(super) fn render(history: &History, epochs: usize, output: &Path) -> String {
    let heads = ["First", "Last", "Lowest", "(epoch)", "Highest", "(epoch)"];
    let heads: Vec<(&str, Align)> = std::iter::once(("", Align::Left))
        .chain(heads.into_iter().map(|head| (head, Align::Right)))
        .collect();
    let mut table = Table::new(&heads);
    for (name, values) in history.iter() {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        let extreme = |sign: f64| {
            let numbers = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
            let best = numbers.max_by(|(i, a), (j, b)| {
                // Of equals the first.
                (sign * **a).total_cmp(&(sign * **b)).then(j.cmp(i))
            });
            best.map_or(("NaN".to_owned(), String::new()), |(epoch, value)| {
                (brief(*value), (epoch + 1).to_string())
            })
        };
        let ((low, low_epoch), (high, high_epoch)) = (extreme(-1.0), extreme(1.0));
        let name = name.to_owned();
        table.row([name, brief(*first), brief(*last), low, low_epoch, high, high_epoch]);
    }
    let mut text = match history.epochs() {
        0 => String::new(),
        _ => table.render(COLUMNS),
    };
    if history.epochs() < epochs {
        text.push_str(&format!("Stopped after {} of {epochs} epochs.\n", history.epochs()));
    }
    text.push_str(&format!("Saved {}\n", output.display()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Logs;

    #[test]
    fn the_table_names_the_best_epochs_and_fits() {
        let mut history = History::new();
        for loss in [0.7, 0.25, 0.5, 0.25] {
            let mut logs = Logs::new();
            logs.set("loss", loss);
            logs.set("val_a_metric_with_quite_a_long_name", 1.0 - loss);
            history.push(&logs);
        }
        let text = render(&history, 10, Path::new("out.keras"));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        let loss = text.lines().find(|line| line.starts_with("loss")).expect("a row");
        let cells: Vec<&str> = loss.split_whitespace().collect();
        assert_eq!(cells, ["loss", "0.7000", "0.2500", "0.2500", "2", "0.7000", "1"]);
        assert!(text.contains("Stopped after 4 of 10 epochs.") && text.contains("out.keras"));
    }
}

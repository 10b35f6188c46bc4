//! Columns that hold the values of one input: `NAME[0]`, `NAME[1]`, ….

/// A column's name without its number, and the number.
pub(crate) fn split(column: &str) -> (&str, Option<usize>) {
    let parts = column.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match parts.and_then(|(stem, number)| Some((stem, number.parse().ok()?))) {
        Some((stem, number)) => (stem, Some(number)),
        None => (column, None),
    }
}

/// The columns of one input by their numbers, or as they stand where none has a number. Says what is
/// wrong where numbers are missing, given twice, or of some columns alone.
pub(crate) fn in_order(columns: &[(usize, &str)]) -> Result<Vec<usize>, String> {
    let mut found = Vec::with_capacity(columns.len());
    for (column, name) in columns {
        let (stem, number) = split(name);
        found.push((number, *column, stem, *name));
    }
    let numbered = found.iter().filter(|(number, ..)| number.is_some()).count();
    if numbered == 0 {
        return Ok(found.into_iter().map(|(_, column, ..)| column).collect());
    }
    let stem =
        found.iter().find(|(number, ..)| number.is_some()).map_or("", |(_, _, stem, _)| stem);
    if let Some((.., name)) =
        found.iter().find(|(number, _, other, _)| number.is_none() || *other != stem)
    {
        return Err(format!("column `{name}` does not go with `{stem}[0]`, `{stem}[1]`, …"));
    }
    found.sort_by_key(|(number, ..)| *number);
    for (place, (number, ..)) in found.iter().enumerate() {
        match number.unwrap_or(place) {
            number if number > place => {
                return Err(format!(
                    "there is no column `{stem}[{place}]`, and one `{stem}[{number}]`"
                ));
            }
            number if number < place => {
                return Err(format!("two columns are named `{stem}[{number}]`; rename one"));
            }
            _ => {}
        }
    }
    Ok(found.into_iter().map(|(_, column, ..)| column).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str]) -> Result<Vec<usize>, String> {
        in_order(&names.iter().copied().enumerate().collect::<Vec<_>>())
    }

    #[test]
    fn numbers_decide_the_order() {
        assert_eq!(order(&["a[1]", "a[0]", "a[2]"]), Ok(vec![1, 0, 2]));
        assert_eq!(order(&["b", "a"]), Ok(vec![0, 1]));
        let many: Vec<String> = (0..12).rev().map(|number| format!("a[{number}]")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(order(&many), Ok((0..12).rev().collect()));
    }

    #[test]
    fn gaps_doubles_and_mixtures_are_named() {
        for (names, said) in [
            (["a[0]", "a[2]"], "no column `a[1]`"),
            (["a[1]", "a[2]"], "no column `a[0]`"),
            (["a[0]", "a[0]"], "two columns are named `a[0]`"),
            (["a[0]", "a"], "column `a` does not go"),
            (["a[0]", "b[1]"], "column `b[1]` does not go"),
        ] {
            let error = order(&names).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}

//! Timing: medians of runs after a warm-up.

use std::time::{Duration, Instant};

use crate::cli::error::CliError;

/// Runs that are not timed: they plan, and touch memory for the first time.
pub(super) const WARM_UP: usize = 3;
/// Runs that are timed at least.
pub(super) const FEWEST: usize = 7;
/// Runs that are timed at most.
const MOST: usize = 100_000;

/// The milliseconds of runs, shortest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Times(Vec<f64>);

impl Times {
    /// Of runs in any order.
    pub fn new(mut taken: Vec<f64>) -> Times {
        taken.sort_unstable_by(f64::total_cmp);
        Times(taken)
    }

    /// The median in milliseconds.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let at = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        match self.0.len() % 2 {
            0 => f64::midpoint(at(middle.wrapping_sub(1)), at(middle)),
            _ => at(middle),
        }
    }

    /// The shortest in milliseconds.
    pub fn fastest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    /// How many runs were timed.
    pub fn runs(&self) -> usize {
        self.0.len()
    }
}

/// Something that can be run again and again.
pub(super) type Run<'a> = dyn FnMut() -> Result<(), CliError> + 'a;

/// Times one side.
pub(super) fn alone(run: &mut Run<'_>, budget: Duration) -> Result<Times, CliError> {
    let [times] = in_turn([run], budget)?;
    Ok(times)
}

/// Times sides in turn, a run of each after the other, until each had its time.
pub(super) fn in_turn<const N: usize>(
    mut sides: [&mut Run<'_>; N],
    budget: Duration,
) -> Result<[Times; N], CliError> {
    for side in &mut sides {
        (0..WARM_UP).try_for_each(|_| side())?;
    }
    let mut taken: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    let began = Instant::now();
    let limit = budget * u32::try_from(N).unwrap_or(1);
    for round in 0..MOST {
        if round >= FEWEST && began.elapsed() >= limit {
            break;
        }
        for (side, taken) in sides.iter_mut().zip(&mut taken) {
            let began = Instant::now();
            side()?;
            taken.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(taken.map(Times::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        let odd = Times::new(vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.median(), odd.fastest(), odd.runs()), (2.0, 1.0, 3));
        assert_eq!(Times::new(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Times::new(Vec::new()).median().is_nan());
    }

    #[test]
    fn sides_run_in_turn_and_seven_times_at_least() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name: char| {
            order.borrow_mut().push(name);
            Ok(())
        };
        let mut first = || side('a');
        let times = alone(&mut first, Duration::ZERO).unwrap();
        assert_eq!(times.runs(), FEWEST);
        assert_eq!(order.borrow().len(), WARM_UP + FEWEST);
        order.borrow_mut().clear();
        let (mut first, mut second) = (
            || {
                order.borrow_mut().push('a');
                Ok(())
            },
            || {
                order.borrow_mut().push('b');
                Ok(())
            },
        );
        in_turn([&mut first, &mut second], Duration::ZERO).unwrap();
        let expected = "a".repeat(WARM_UP) + &"b".repeat(WARM_UP) + &"ab".repeat(FEWEST);
        assert_eq!(*order.borrow(), expected);
    }

    #[test]
    fn a_side_that_fails_ends_it() {
        let mut run = || Err(CliError::failed("broken"));
        assert_eq!(alone(&mut run, Duration::ZERO).unwrap_err().text(), "broken");
    }
}

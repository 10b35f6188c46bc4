//! The curves of a history as an SVG: a panel for the loss and for each metric, training beside
//! validation.

use std::fmt::Write;

use super::progress::brief;
use crate::train::History;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 48.0;
/// Up to so many epochs each has a marker.
const MARKED: usize = 30;
/// Colours that people who see colours otherwise tell apart, and dashes beside.
const TRAINING: (&str, &str) = ("#0072b2", "none");
const VALIDATION: (&str, &str) = ("#d55e00", "6 3");

/// The SVG.
pub(super) fn render(history: &History) -> String {
    let panels: Vec<(&str, &[f64])> =
        history.iter().filter(|(name, _)| !name.starts_with("val_")).collect();
    let height = HEIGHT * panels.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (name, values)) in panels.iter().enumerate() {
        let validation = history.get(&format!("val_{name}"));
        let offset = HEIGHT * index as f64;
        let _ = writeln!(svg, "<g transform=\"translate(0 {offset})\">");
        Panel::of(values, validation).push(&mut svg, name);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// One panel: its curves and the range of its axes.
struct Panel<'a> {
    curves: Vec<(&'static str, &'a [f64], (&'static str, &'static str))>,
    epochs: usize,
    low: f64,
    step: f64,
    high: f64,
}

impl<'a> Panel<'a> {
    fn of(training: &'a [f64], validation: Option<&'a [f64]>) -> Panel<'a> {
        let mut curves = vec![("training", training, TRAINING)];
        curves.extend(validation.map(|values| ("validation", values, VALIDATION)));
        let finite = || curves.iter().flat_map(|curve| curve.1).copied().filter(|v| v.is_finite());
        let (low, high) = (finite().fold(f64::NAN, f64::min), finite().fold(f64::NAN, f64::max));
        let (low, step, high) = axis(low, high);
        let epochs = curves.iter().map(|curve| curve.1.len()).max().unwrap_or(0);
        Panel { curves, epochs, low, step, high }
    }

    fn x(&self, epoch: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        match self.epochs {
            0 | 1 => LEFT + room / 2.0,
            epochs => LEFT + room * epoch as f64 / (epochs - 1) as f64,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
    }

    fn push(&self, svg: &mut String, name: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"24\" font-size=\"14\" font-weight=\"bold\">{}</text>",
            escape(name)
        );
        self.push_axes(svg);
        for (place, (what, values, (colour, dash))) in self.curves.iter().enumerate() {
            let style = format!(
                "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\""
            );
            // A value that is not finite breaks the curve.
            let points: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
            for run in points.split(|(_, value)| !value.is_finite()).filter(|run| !run.is_empty()) {
                let at = |(epoch, value): &(usize, f64)| {
                    format!("{:.1},{:.1}", self.x(*epoch), self.y(*value))
                };
                let line: Vec<String> = run.iter().map(at).collect();
                let _ = writeln!(svg, "<polyline {style} points=\"{}\"/>", line.join(" "));
            }
            // More of them would hide lines and dashes; a value alone has no line to be seen by.
            let marked = |epoch: usize| {
                let finite = |at: Option<usize>| {
                    at.and_then(|at| values.get(at)).is_some_and(|value| value.is_finite())
                };
                self.epochs <= MARKED || !finite(epoch.checked_sub(1)) && !finite(Some(epoch + 1))
            };
            let finite = points.iter().filter(|(_, value)| value.is_finite());
            for (epoch, value) in finite.filter(|(epoch, _)| marked(*epoch)) {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\"/>",
                    self.x(*epoch),
                    self.y(*value)
                );
            }
            let from = WIDTH - RIGHT - 110.0 * (self.curves.len() - place) as f64;
            let _ = writeln!(
                svg,
                "<line {style} x1=\"{from}\" y1=\"20\" x2=\"{}\" y2=\"20\"/>\
                 <text x=\"{}\" y=\"24\">{what}</text>",
                from + 28.0,
                from + 34.0
            );
        }
    }

    fn push_axes(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let ticks = ((self.high - self.low) / self.step).round() as usize;
        for tick in 0..=ticks {
            let value = self.low + self.step * tick as f64;
            let y = self.y(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                label(value, self.step)
            );
        }
        for epoch in epochs_named(self.epochs) {
            let x = self.x(epoch - 1);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#444\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{epoch}</text>",
                bottom + 5.0,
                bottom + 20.0
            );
        }
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"#444\" points=\"{LEFT},{TOP} {LEFT},{bottom} \
             {right},{bottom}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">epoch</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 10.0
        );
    }
}

/// The epochs that are named below the axis, counted from 1: all, or the first, the last and round
/// ones between.
fn epochs_named(epochs: usize) -> Vec<usize> {
    let step = (0..).flat_map(|power| [1, 2, 5].map(|times| times * 10usize.pow(power)));
    let step = step.into_iter().find(|step| epochs.div_ceil(*step) <= 12).unwrap_or(1);
    if step == 1 {
        return (1..=epochs).collect();
    }
    let far = |epoch: &usize| epochs - epoch > step / 2 && *epoch > step / 2;
    let round = (step..epochs).step_by(step).filter(far);
    std::iter::once(1).chain(round).chain([epochs]).collect()
}

/// The lowest and highest number of an axis and the step between its marks: 1, 2 or 5 times a power
/// of ten, about five of them. A constant lies in the middle of its own size, a share such as an
/// accuracy of 1 within 0 to 1.
fn axis(low: f64, high: f64) -> (f64, f64, f64) {
    if !(low.is_finite() && high.is_finite()) {
        return (0.0, 0.5, 1.0);
    }
    let (low, high) = match high - low {
        range if range > 0.0 => (low, high),
        _ if low == 0.0 || low == 1.0 => return (0.0, 0.2, 1.0),
        _ => (low - low.abs().max(1e-3) / 2.0, high + high.abs().max(1e-3) / 2.0),
    };
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= rough);
    let step = step.unwrap_or(10.0) * power;
    ((low / step).floor() * step, step, (high / step).ceil() * step)
}

/// A mark's number, with the decimals that its axis needs.
fn label(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    match decimals {
        0..=6 if value.abs() < 1e6 => format!("{value:.decimals$}").replace("-0", "0"),
        _ => brief(value),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Logs;

    #[test]
    fn every_metric_has_a_panel_with_its_curves() {
        let mut history = History::new();
        for (loss, accuracy) in [(0.7, 0.5), (f64::NAN, 0.75), (0.2, 1.0)] {
            let mut logs = Logs::new();
            for (name, value) in [("loss", loss), ("accuracy", accuracy), ("val_loss", 0.5)] {
                logs.set(name, value);
            }
            history.push(&logs);
        }
        let svg = render(&history);
        assert_eq!(svg.matches("<g ").count(), 2);
        assert_eq!(svg.matches(">training<").count(), 2);
        assert_eq!(svg.matches(">validation<").count(), 1);
        // The loss breaks at NaN; no coordinate is one.
        assert!(!svg.contains("NaN"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2 + 3 + 3);
    }

    #[test]
    fn long_curves_are_lines_and_their_ends_are_named() {
        let mut history = History::new();
        for epoch in 0..300 {
            let mut logs = Logs::new();
            logs.set("loss", if epoch == 100 || epoch == 102 { f64::NAN } else { epoch as f64 });
            history.push(&logs);
        }
        let svg = render(&history);
        // A value between two that are none would not be seen as a line.
        assert_eq!(svg.matches("<circle").count(), 1);
        for tick in ["1", "50", "100", "250", "300"] {
            assert!(svg.contains(&format!("middle\">{tick}<")), "{tick}");
        }
        assert_eq!(epochs_named(12), (1..=12).collect::<Vec<_>>());
        assert_eq!(epochs_named(13), [1, 2, 4, 6, 8, 10, 13]);
        assert_eq!(epochs_named(100), [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
        for epochs in [1, 25, 31, 99, 1000, 12345] {
            let found = epochs_named(epochs);
            assert!(found.is_sorted() && found.len() <= 14, "{found:?}");
            assert_eq!((found.first(), found.last()), (Some(&1), Some(&epochs)));
        }
    }

    #[test]
    fn a_constant_share_has_the_axis_of_shares() {
        assert_eq!(axis(1.0, 1.0), (0.0, 0.2, 1.0));
        assert_eq!(axis(0.0, 0.0), (0.0, 0.2, 1.0));
        assert_eq!(axis(3.0, 3.0), (1.0, 1.0, 5.0));
    }

    #[test]
    fn axes_have_round_numbers_around_the_values() {
        assert_eq!(axis(0.5, 1.0), (0.5, 0.1, 1.0));
        for (low, high) in [(0.0, 0.0), (3.0, 3.0), (-2.0, 7.5), (1e-9, 1.1e-9), (1e8, 2e8)] {
            let (from, step, to) = axis(low, high);
            assert!(from <= low && to >= high && step > 0.0, "{low} {high}");
            assert!((2.0..13.0).contains(&((to - from) / step)), "{low} {high}");
        }
    }
}

//! Rates by number of clients as SVG, readable on light and dark pages.

use std::fmt::Write as _;

use crate::report::{Cell, Loop};
use crate::strategy::Strategy;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;

fn color(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::ForUpdate => "#c44e52",
        Strategy::Optimistic => "#dd8452",
        Strategy::Conditional => "#937860",
        Strategy::SingleStatement => "#8172b3",
        Strategy::BatchedProcedure => "#da8bc3",
        Strategy::RedisLock => "#8c8c8c",
        Strategy::RedisStream => "#64b5cd",
        Strategy::Turnstile => "#2f7d4f",
        Strategy::Embedded => "#4c72b0",
    }
}

/// A number as 1, 2 or 5 times a power of ten, not smaller than this one.
fn round_up(number: f64) -> f64 {
    let power = 10f64.powf(number.max(1.0).log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= number).unwrap_or(10.0);
    factor * power
}

pub fn rates(title: &str, cells: &[&Cell]) -> String {
    let points: Vec<(Strategy, usize, f64)> = cells
        .iter()
        .filter_map(|cell| match cell.of {
            Loop::Closed { clients } => Some((cell.strategy, clients, cell.rate)),
            Loop::Open { .. } => None,
        })
        .collect();
    let most = points.iter().map(|point| point.1).max().unwrap_or(1).max(2) as f64;
    let top = round_up(points.iter().map(|point| point.2).fold(1.0, f64::max));
    let x = |clients: usize| LEFT + (WIDTH - LEFT - RIGHT) * (clients as f64).ln() / most.ln();
    let y = |rate: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / top;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n<text x=\"{LEFT}\" y=\"22\" font-size=\"16\">{title}</text>\n"
    );
    for step in 0..=4 {
        let rate = top * f64::from(step) / 4.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{rate:.0}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(rate) + 4.0,
            at = y(rate)
        );
    }
    let mut counts: Vec<usize> = points.iter().map(|point| point.1).collect();
    counts.sort_unstable();
    counts.dedup();
    for clients in counts {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{clients}</text>",
            x(clients),
            HEIGHT - BOTTOM + 20.0
        );
    }
    lines(&mut svg, &points, x, y);
    svg.push_str("</svg>\n");
    svg
}

/// A line for each strategy, its name at the right, none over another.
fn lines(svg: &mut String, points: &[(Strategy, usize, f64)], x: impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) {
    let mut names = Vec::new();
    for strategy in Strategy::ALL {
        let of: Vec<_> = points.iter().filter(|point| point.0 == strategy).collect();
        let Some(last) = of.last() else { continue };
        let path: Vec<String> = of.iter().map(|point| format!("{:.1},{:.1}", x(point.1), y(point.2))).collect();
        let (color, path) = (color(strategy), path.join(" "));
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{path}\"/>");
        for point in &of {
            let _ =
                writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>", x(point.1), y(point.2));
        }
        names.push((y(last.2), strategy, last.2));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP;
    for (at, strategy, rate) in names {
        let at = at.max(free);
        free = at + 16.0;
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.1}\" fill=\"{}\">{strategy} {rate:.0}</text>",
            WIDTH - RIGHT + 10.0,
            at + 4.0,
            color(strategy)
        );
    }
}

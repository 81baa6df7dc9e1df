//! Latency plots: bars on the terminal, curves on a self-contained page.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::{Report, millis};

const BAR_CHARS: u64 = 50;
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;

/// Number of requests per power of two of milliseconds.
pub fn text(report: &Report) -> String {
    let overall = report.overall();
    if overall.count() == 0 {
        return "nothing was decided\n".to_owned();
    }
    let mut rows = Vec::new();
    let mut from = Duration::ZERO;
    let mut to = Duration::from_micros(500);
    while from < overall.max() {
        rows.push((to, overall.between(from, to)));
        (from, to) = (to, to * 2);
    }
    let first = rows.iter().position(|(_, count)| *count > 0).unwrap_or(0);
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let mut text = String::new();
    for (to, count) in &rows[first..] {
        let bar = "█".repeat(usize::try_from((count * BAR_CHARS).div_ceil(most)).unwrap_or(0));
        let _ = writeln!(text, "≤ {:>8} {count:>9} {bar}", millis(*to));
    }
    text
}

/// A self-contained page: the table, the percentile curve and p50/p99 over time.
pub fn page(report: &Report) -> String {
    let overall = report.overall();
    // Logarithmic in nines: 50, 90, 99, 99.9 … are equidistant.
    let nines: Vec<f64> = (0..=80).map(|step| f64::from(step) / 20.0).collect();
    let by_percentile: Vec<(f64, Duration)> =
        nines.iter().map(|nine| (*nine, overall.percentile(100.0 - 100.0 * 10f64.powf(-nine)))).collect();
    let course = |percent: f64| -> Vec<(f64, Duration)> {
        let seconds = report.seconds().iter().enumerate();
        seconds.map(|(second, of)| (second as f64, of.latencies.percentile(percent))).collect()
    };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Turnstile load</title>\
         <style>body{{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}\
         svg{{width:100%;height:auto;background:#f6f7f9}}text{{font:12px system-ui}}</style>\
         <h1>Turnstile load</h1><pre>{}</pre>\
         <h2>Latency by percentile</h2>{}<h2>p50 and p99 by second</h2>{}</html>\n",
        report.table(),
        chart(
            &[("#1769aa", &by_percentile)],
            &[(0.0, "0"), (1.0, "90 %"), (2.0, "99 %"), (3.0, "99.9 %"), (4.0, "99.99 %")]
        ),
        chart(&[("#1769aa", &course(50.0)), ("#c0392b", &course(99.0))], &[]),
    )
}

/// Lines on a common scale, with the highest latency at the top.
fn chart(lines: &[(&str, &[(f64, Duration)])], marks: &[(f64, &str)]) -> String {
    let points = || lines.iter().flat_map(|(_, points)| points.iter());
    let x_max = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let y_max = points().map(|(_, y)| y.as_secs_f64()).fold(0.000_001, f64::max);
    let x_of = |x: f64| 10.0 + x / x_max * (WIDTH - 20.0);
    let y_of = |y: Duration| HEIGHT - 20.0 - y.as_secs_f64() / y_max * (HEIGHT - 50.0);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><text x=\"12\" y=\"20\">highest: {}</text>",
        millis(Duration::from_secs_f64(y_max))
    );
    for (color, points) in lines {
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_of(*x), y_of(*y))).collect();
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        );
    }
    for (x, label) in marks {
        let _ = write!(svg, "<text x=\"{:.1}\" y=\"{}\">{label}</text>", x_of(*x).min(WIDTH - 60.0), HEIGHT - 4.0);
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::super::mix::Kind;
    use super::super::report::{Ending, Outcome};
    use super::*;

    fn report() -> Report {
        let mut report = Report::new(1, 3);
        for (second, ms) in [(0, 1), (1, 3), (2, 900)] {
            let latency = Duration::from_millis(ms);
            report.add(&Outcome { kind: Kind::Charge, second, latency, ending: Ending::Succeeded });
        }
        report
    }

    #[test]
    fn the_bars_count_everything_once() {
        let text = text(&report());
        let counted: u64 = text.lines().filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok()).sum();
        assert_eq!(counted, 3, "{text}");
        assert_eq!(super::text(&Report::new(1, 1)), "nothing was decided\n");
    }

    #[test]
    fn the_page_has_its_curves_and_loads_nothing() {
        let page = page(&report());
        assert_eq!(page.matches("<polyline").count(), 3);
        assert!(!page.contains("NaN") && !page.contains("src=") && !page.contains("href="), "{page}");
    }
}

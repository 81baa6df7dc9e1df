//! A plan as an SVG picture that needs nothing else.

use std::fmt::{self, Write as _};

use super::plan::{Plan, middle};
use super::types::{Area, HUNDREDTHS, NumberPosition, Point, Row, Section, Shape};

/// Seats that are labeled one by one; more would make a picture of megabytes.
const LABELED_MAX: usize = 5_000;
/// For categories without a color, so that neighbors in the list differ.
const COLORS: [&str; 8] = ["#1b6ca8", "#c0392b", "#2e8b57", "#b8860b", "#7d3c98", "#117a8b", "#a04000", "#566573"];

/// A length in units.
struct Units(i32);

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (f64::from(self.0) / f64::from(HUNDREDTHS)).fmt(f)
    }
}

/// A text in markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            c => f.write_char(c),
        })
    }
}

/// Seats by category, wheelchair places as squares, areas, row numbers where the plan shows them, names of sections.
pub fn draw(plan: &Plan) -> String {
    let parts = plan.parts();
    let labeled = plan.seats() <= LABELED_MAX;
    let mut svg = String::new();
    let (width, height) = (parts.size.width.max(1), parts.size.height.max(1));
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" \
         text-anchor=\"middle\">\n<title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
        Escaped(&parts.name)
    );
    for area in &parts.areas {
        draw_area(&mut svg, area);
    }
    for (index, category) in parts.categories.iter().enumerate() {
        let color = category.color.as_deref().unwrap_or(COLORS[index % COLORS.len()]);
        let _ = writeln!(svg, "<g fill=\"{}\"><desc>{}</desc>", Escaped(color), Escaped(&category.name));
        for section in &parts.sections {
            draw_seats(&mut svg, section, index, labeled);
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("<g fill=\"#333\">\n");
    for section in &parts.sections {
        section.rows.iter().enumerate().for_each(|(index, row)| draw_row_number(&mut svg, section, index, row));
    }
    // As large in the picture of a stadium as in one of a cellar, and readable on top of seats.
    let letters = (width / 80).max(12);
    let _ = writeln!(
        svg,
        "</g>\n<g font-size=\"{letters}\" font-weight=\"bold\" stroke=\"#fff\" stroke-width=\"{}\" paint-order=\"stroke\">",
        letters / 4
    );
    for section in &parts.sections {
        draw_text(&mut svg, middle(section.seats.iter().map(|seat| seat.at)), &section.name, "");
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn draw_text(svg: &mut String, at: Point, text: &str, attributes: &str) {
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\"{attributes}>{}</text>", Units(at.x), Units(at.y), Escaped(text));
}

fn draw_seats(svg: &mut String, section: &Section, category: usize, labeled: bool) {
    let seats = section.seats.iter().zip(1..).filter(|(seat, _)| usize::from(seat.category) == category);
    for (seat, number) in seats {
        let radius = seat.radius;
        let shape = match section.tags.wheelchair.contains(&number) {
            true => {
                let corner = i32::from(radius) * HUNDREDTHS;
                let (x, y) = (Units(seat.at.x - corner), Units(seat.at.y - corner));
                let side = 2 * radius;
                let _ = write!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\"");
                "rect"
            }
            false => {
                let (x, y) = (Units(seat.at.x), Units(seat.at.y));
                let _ = write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"");
                "circle"
            }
        };
        match section.label_of(number).filter(|_| labeled) {
            Some(label) => {
                let _ = writeln!(svg, "><title>{}</title></{shape}>", Escaped(&label));
            }
            None => svg.push_str("/>\n"),
        }
    }
}

/// Beside the first seat of the row, the last or both.
fn draw_row_number(svg: &mut String, section: &Section, index: usize, row: &Row) {
    let Some(position) = row.number_position else { return };
    let runs = || section.runs.iter().filter(|run| run.row as usize == index);
    let first = runs().min_by_key(|run| run.at).map(|run| run.first);
    let last = runs().max_by_key(|run| run.at).map(|run| run.first + run.count - 1);
    let (Some(first), Some(last)) = (first, last) else { return };
    let beside = |number: u32, inner: u32| -> Option<(Point, u16)> {
        let (seat, inner) = (section.seat(number)?, section.seat(inner)?);
        let (dx, dy) = (f64::from(seat.at.x - inner.at.x), f64::from(seat.at.y - inner.at.y));
        let length = dx.hypot(dy);
        let outward = if length > 0.0 { 2.0 * f64::from(seat.radius) * f64::from(HUNDREDTHS) / length } else { 0.0 };
        let moved = |from: i32, by: f64| from + (by * outward) as i32;
        // Letters stand on their base line.
        let y = moved(seat.at.y, dy) + i32::from(seat.radius) * HUNDREDTHS / 2;
        Some((Point { x: moved(seat.at.x, dx), y }, seat.radius))
    };
    let ends = [(NumberPosition::Start, first, last), (NumberPosition::End, last, first)];
    for (_, number, inner) in ends.iter().filter(|(end, ..)| position == NumberPosition::Both || position == *end) {
        if let Some((at, radius)) = beside(*number, *inner) {
            draw_text(svg, at, &row.number, &format!(" font-size=\"{}\"", radius + 2));
        }
    }
}

fn draw_area(svg: &mut String, area: &Area) {
    let (x, y) = (Units(area.at.x), Units(area.at.y));
    let _ = write!(svg, "<g transform=\"translate({x} {y}) rotate({})\"", Units(area.rotation));
    let fill = area.color.as_deref().unwrap_or("none");
    let stroke = area.border_color.as_deref().unwrap_or("none");
    let _ = writeln!(svg, " fill=\"{}\" stroke=\"{}\">", Escaped(fill), Escaped(stroke));
    let _ = match &area.shape {
        Shape::Rectangle(width, height) => writeln!(svg, "<rect width=\"{width}\" height=\"{height}\"/>"),
        Shape::Circle(radius) => writeln!(svg, "<circle r=\"{radius}\"/>"),
        Shape::Ellipse(radius) => writeln!(svg, "<ellipse rx=\"{}\" ry=\"{}\"/>", Units(radius.x), Units(radius.y)),
        Shape::Polygon(points) => {
            let corners: Vec<_> = points.iter().map(|point| format!("{},{}", Units(point.x), Units(point.y))).collect();
            writeln!(svg, "<polygon points=\"{}\"/>", corners.join(" "))
        }
        Shape::Text => Ok(()),
    };
    if let Some(text) = &area.text {
        let color = text.color.as_deref().unwrap_or("#333");
        let size = text.size.unwrap_or(16);
        let attributes = format!(" font-size=\"{size}\" stroke=\"none\" fill=\"{}\"", Escaped(color));
        draw_text(svg, text.at, &text.text, &attributes);
    }
    svg.push_str("</g>\n");
}

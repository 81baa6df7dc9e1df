//! Where everybody looks: the stage if the drawing has one, else the top center.

use super::types::{Area, HUNDREDTHS, Point, Shape, Size};

/// What a stage is called in drawings: the end of a word, for `Hauptbühne` and `메인무대`.
const STAGES: [&str; 11] =
    ["stage", "bühne", "scène", "scene", "escenario", "palcoscenico", "podium", "무대", "ステージ", "舞台", "screen"];

fn is_stage(area: &Area) -> bool {
    let text = area.text.as_ref().map(|text| text.text.to_lowercase()).unwrap_or_default();
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word != "backstage" && STAGES.iter().any(|stage| word.ends_with(stage)))
}

/// In hundredths of a unit.
pub fn point(areas: &[Area], size: Size) -> Point {
    let top_center = Point { x: i32::try_from(size.width).unwrap_or(0).saturating_mul(HUNDREDTHS / 2), y: 0 };
    areas.iter().find(|area| is_stage(area)).map_or(top_center, center)
}

/// The middle of an area, turned as the area is.
pub fn center(area: &Area) -> Point {
    let half = |length: u32| f64::from(length) * f64::from(HUNDREDTHS) / 2.0;
    let (dx, dy) = match &area.shape {
        Shape::Rectangle(width, height) => (half(*width), half(*height)),
        Shape::Polygon(points) => {
            let count = points.len().max(1) as f64;
            let mean = |of: fn(&Point) -> i32| points.iter().map(|point| f64::from(of(point))).sum::<f64>() / count;
            (mean(|point| point.x), mean(|point| point.y))
        }
        Shape::Ellipse(_) | Shape::Circle(_) | Shape::Text => (0.0, 0.0),
    };
    let (sin, cos) = (f64::from(area.rotation) / f64::from(HUNDREDTHS)).to_radians().sin_cos();
    let rounded = |base: i32, offset: f64| base.saturating_add(offset.round() as i32);
    Point { x: rounded(area.at.x, dx * cos - dy * sin), y: rounded(area.at.y, dx * sin + dy * cos) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::types::AreaText;

    fn area(shape: Shape, text: &str, rotation: i32) -> Area {
        let at = Point { x: 10_000, y: 20_000 };
        let text = Some(AreaText { text: text.into(), at: Point::default(), color: None, size: None });
        Area { zone: 0, at, shape, rotation, color: None, border_color: None, text }
    }

    #[test]
    fn the_stage_is_found_by_its_text() {
        let size = Size { width: 1_000, height: 500 };
        let at = |text: &str| point(&[area(Shape::Circle(5), "Bar", 0), area(Shape::Rectangle(40, 20), text, 0)], size);
        for text in ["Stage", "MAIN STAGE", "Hauptbühne", "무대", "舞台 / Stage"] {
            assert_eq!(at(text), Point { x: 12_000, y: 21_000 }, "{text}");
        }
        for text in ["", "Backstage", "Bar"] {
            assert_eq!(at(text), Point { x: 50_000, y: 0 }, "{text}");
        }
    }

    #[test]
    fn an_area_turns_around_its_position() {
        let turned = center(&area(Shape::Rectangle(40, 20), "Stage", 9_000));
        assert_eq!(turned, Point { x: 9_000, y: 22_000 });
        let corners = vec![Point { x: 0, y: 0 }, Point { x: 300, y: 0 }, Point { x: 300, y: 600 }];
        assert_eq!(center(&area(Shape::Polygon(corners), "", 0)), Point { x: 10_200, y: 20_200 });
    }
}

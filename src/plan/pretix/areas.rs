//! Areas of a zone: what is drawn beside its seats.

use serde_json::Value;

use super::fields::{self, Object, Offset};
use crate::plan::check::SIDE_MAX;
use crate::plan::finding::{At, PlanError, Warnings};
use crate::plan::types::{AREAS_MAX, Area, AreaText, POINTS_MAX, Point, Shape};

const AREA: [&str; 11] = [
    "shape",
    "polygon",
    "rectangle",
    "ellipse",
    "circle",
    "text",
    "color",
    "border_color",
    "rotation",
    "position",
    "uuid",
];
const SHAPES: [&str; 5] = ["polygon", "rectangle", "ellipse", "circle", "text"];

/// Full turns are taken off beyond this, in degrees.
const TURN: f64 = 360.0;

/// The areas of all zones that were read so far.
#[derive(Default)]
pub struct Areas {
    pub list: Vec<Area>,
}

impl Areas {
    pub fn read(&mut self, zone: u32, base: Offset, of: &Object<'_>, warnings: &mut Warnings) -> Result<(), PlanError> {
        let at = of.at();
        let list = At::Member(&at, "areas");
        for (index, value) in of.items("areas")?.iter().enumerate() {
            let area = Object::of(value, At::Item(&list, index), "an area")?;
            if self.list.len() == AREAS_MAX {
                return Err(PlanError::new(area.at(), format!("more than {AREAS_MAX} areas")));
            }
            self.list.extend(read_area(zone, base, &area, warnings)?);
        }
        Ok(())
    }
}

/// `None`: it has no shape that could be drawn.
fn read_area(zone: u32, base: Offset, area: &Object<'_>, warnings: &mut Warnings) -> Result<Option<Area>, PlanError> {
    // The first version of the format had width and height in the area itself.
    let old = area.member("shape").is_none() && area.member("width").is_some() && area.member("height").is_some();
    let shape = if old {
        area.note_unknown(&[&AREA[..], &["width", "height"]].concat(), warnings);
        warnings.note(area.at(), "an area of an older version of the format is read as a rectangle");
        read_rectangle(area, warnings)
    } else {
        area.note_unknown(&AREA, warnings);
        read_shape(area, warnings)?
    };
    let Some(shape) = shape else {
        warnings.note(area.at(), "an area has no shape: left out");
        return Ok(None);
    };
    let at = area.at();
    let position = base.plus(area.offset("position", warnings)?.unwrap_or_default());
    let rotation = area.number("rotation", warnings).unwrap_or(0.0);
    let rotation = if rotation.abs() > TURN { rotation % TURN } else { rotation };
    Ok(Some(Area {
        zone,
        at: position.rounded(At::Member(&at, "position"))?,
        rotation: fields::hundredths(rotation, At::Member(&at, "rotation"))?,
        color: area.color("color", warnings),
        border_color: area.color("border_color", warnings),
        text: read_text(area, &shape, warnings)?,
        shape,
    }))
}

fn read_shape(area: &Object<'_>, warnings: &mut Warnings) -> Result<Option<Shape>, PlanError> {
    let only = SHAPES.into_iter().find(|shape| area.member(shape).is_some());
    let shape = match area.member("shape").map(Value::as_str) {
        None => only,
        Some(Some(shape)) => SHAPES.into_iter().find(|known| *known == shape),
        Some(None) => None,
    };
    let Some(shape) = shape else { return Ok(None) };
    if shape == "text" {
        return Ok(area.member("text").map(|_| Shape::Text));
    }
    let Some(value) = area.member(shape) else { return Ok(None) };
    let at = area.at();
    let inner = Object::of(value, At::Member(&at, shape), shape)?;
    Ok(match shape {
        "polygon" => Some(Shape::Polygon(read_points(&inner, warnings)?)),
        "rectangle" => {
            inner.note_unknown(&["width", "height"], warnings);
            read_rectangle(&inner, warnings)
        }
        "circle" => {
            inner.note_unknown(&["radius"], warnings);
            inner.whole("radius", 0..=SIDE_MAX, warnings).map(Shape::Circle)
        }
        _ => {
            inner.note_unknown(&["radius"], warnings);
            let at = inner.at();
            let radius = inner.offset("radius", warnings)?.map(|radius| radius.rounded(At::Member(&at, "radius")));
            radius.transpose()?.filter(|radius| radius.x >= 0 && radius.y >= 0).map(Shape::Ellipse)
        }
    })
}

fn read_rectangle(of: &Object<'_>, warnings: &mut Warnings) -> Option<Shape> {
    let width = of.whole("width", 0..=SIDE_MAX, warnings);
    let height = of.whole("height", 0..=SIDE_MAX, warnings);
    width.zip(height).map(|(width, height)| Shape::Rectangle(width, height))
}

fn read_points(polygon: &Object<'_>, warnings: &mut Warnings) -> Result<Vec<Point>, PlanError> {
    polygon.note_unknown(&["points"], warnings);
    let at = polygon.at();
    let list = At::Member(&at, "points");
    let points = polygon.items("points")?;
    if points.len() > POINTS_MAX {
        return Err(PlanError::new(list, format!("more than {POINTS_MAX} corners")));
    }
    let point = |(index, value): (usize, &Value)| {
        let at = At::Item(&list, index);
        fields::offset(value, at, warnings)?.rounded(at)
    };
    points.iter().enumerate().map(point).collect()
}

/// A text alone was all that the first version of the format had.
fn read_text(area: &Object<'_>, shape: &Shape, warnings: &mut Warnings) -> Result<Option<AreaText>, PlanError> {
    let Some(value) = area.member("text") else { return Ok(None) };
    if value.is_string() {
        let text = area.text("text", warnings)?.unwrap_or_default();
        let center = match shape {
            Shape::Rectangle(width, height) => Offset { x: f64::from(*width) / 2.0, y: f64::from(*height) / 2.0 },
            _ => Offset::default(),
        };
        return Ok(Some(AreaText { text, at: center.rounded(area.at())?, color: None, size: None }));
    }
    let at = area.at();
    let at_text = At::Member(&at, "text");
    let inner = Object::of(value, at_text, "a text")?;
    inner.note_unknown(&["text", "color", "size", "position"], warnings);
    let text = inner.text("text", warnings)?.unwrap_or_default();
    if text.is_empty() && *shape != Shape::Text {
        // What the editor writes for an area without a text.
        return Ok(None);
    }
    let position = inner.offset("position", warnings)?.unwrap_or_default();
    let (color, size) = (inner.color("color", warnings), inner.whole("size", 1..=SIDE_MAX, warnings));
    Ok(Some(AreaText { text, at: position.rounded(At::Member(&at_text, "position"))?, color, size }))
}

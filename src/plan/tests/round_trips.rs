//! Any plan survives the formats; no file makes the readers panic.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::samples::{areas, complaints, lines, try_read, written};
use crate::plan::draft::{DraftSeat, zones_of};
use crate::plan::text::clean;
use crate::plan::{Format, Plan, draw, read, write};

/// A text as a reader leaves it: other texts have cases of their own.
fn text() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        "[a-zA-Z0-9]{1,4}",
        "[äéßñ가나ㄱ漢あ]{1,6}",
        "[a-z\"'<>&,;=%~/\\\\ -]{1,8}",
        Just("e\u{301}".to_owned()),
        Just("%s".to_owned())
    ];
    words.prop_map(|text| clean(&text).0.into_owned()).prop_filter("empty", |text| !text.is_empty())
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-5_000..5_000).prop_map(f64::from),
        -1_000.0..1_000.0,
        (-500_000..500_000).prop_map(|n| f64::from(n) / 100.0)
    ]
}

fn position() -> impl Strategy<Value = Value> {
    (number(), number()).prop_map(|(x, y)| json!({"x": x, "y": y}))
}

/// In hundredths, so that it is written as it was read.
fn exact_position() -> impl Strategy<Value = Value> {
    (-9_999..9_999, -9_999..9_999).prop_map(|(x, y)| json!({"x": f64::from(x) / 100.0, "y": f64::from(y) / 100.0}))
}

fn set(value: &mut Value, name: &str, member: Option<impl Into<Value>>) {
    if let Some(member) = member {
        value[name] = member.into();
    }
}

fn seat() -> impl Strategy<Value = Value> {
    let direction = option::of(prop_oneof![Just("<"), Just(">"), Just("<>")]);
    let number = prop_oneof![(1..30_u32).prop_map(|n| n.to_string()), text()];
    (number, position(), 0..3_usize, option::of(1..20_u32), direction).prop_map(
        |(number, at, category, radius, direction)| {
            let mut seat = json!({"seat_number": number, "position": at, "category": CATEGORIES[category]});
            set(&mut seat, "radius", radius);
            set(&mut seat, "start_direction", direction);
            seat
        },
    )
}

const CATEGORIES: [&str; 3] = ["R", "특석", "zu früh"];

fn row() -> impl Strategy<Value = Value> {
    let shown = option::of(prop_oneof![Just("start"), Just("end"), Just("both")]);
    let base = option::of(position());
    (text(), option::of(text()), option::of(text()), shown, base, vec(seat(), 1..9)).prop_map(
        |(number, label, seat_label, shown, base, seats)| {
            let mut row = json!({"row_number": number, "seats": seats});
            set(&mut row, "row_label", label);
            set(&mut row, "seat_label", seat_label);
            set(&mut row, "row_number_position", shown);
            set(&mut row, "position", base);
            row
        },
    )
}

fn area() -> impl Strategy<Value = Value> {
    let shape = prop_oneof![
        vec(exact_position(), 0..5).prop_map(|points| json!({"shape": "polygon", "polygon": {"points": points}})),
        (0..500_u32, 0..500_u32)
            .prop_map(|(w, h)| json!({"shape": "rectangle", "rectangle": {"width": w, "height": h}})),
        (0..500_u32, 0..50_000_u32)
            .prop_map(|(x, y)| json!({"shape": "ellipse", "ellipse": {"radius": {"x": x, "y": f64::from(y) / 100.0}}})),
        (0..500_u32).prop_map(|radius| json!({"shape": "circle", "circle": {"radius": radius}})),
        Just(json!({"shape": "text", "text": {"text": "Bar", "position": {"x": 0, "y": 0.5}}})),
    ];
    let words = option::of((prop_oneof![text(), Just("Stage".to_owned())], exact_position(), option::of(1..99_u32)));
    (shape, exact_position(), option::of(1..35_999), any::<bool>(), words).prop_map(
        |(mut area, at, turn, colored, words)| {
            area["position"] = at;
            set(&mut area, "rotation", turn.map(|turn| f64::from(turn) / 100.0));
            set(&mut area, "color", colored.then_some("#ccc"));
            set(&mut area, "border_color", colored.then_some("rgb(1, 2, 3)"));
            if let Some((words, at, size)) = words {
                area["text"] = json!({"text": words, "position": at});
                set(&mut area["text"], "size", size);
                set(&mut area["text"], "color", colored.then_some("#333"));
            }
            area
        },
    )
}

fn zone() -> impl Strategy<Value = Value> {
    let names = (option::of(text()), option::of(text()));
    (names, position(), vec(row(), 0..4), vec(area(), 0..3)).prop_map(|((name, id), at, rows, areas)| {
        let mut zone = json!({"position": at, "rows": rows, "areas": areas});
        set(&mut zone, "name", name);
        set(&mut zone, "zone_id", id);
        zone
    })
}

/// A valid file with at least one seat and guids of its own.
fn file() -> impl Strategy<Value = Value> {
    let first = (zone(), row()).prop_map(|(mut zone, row)| {
        zone["rows"].as_array_mut().unwrap().push(row);
        zone
    });
    (text(), first, vec(zone(), 0..3), any::<bool>()).prop_map(|(name, first, mut zones, usual)| {
        zones.insert(0, first);
        let mut count = 0;
        for zone in &mut zones {
            for row in zone["rows"].as_array_mut().unwrap() {
                let number = row["row_number"].as_str().unwrap().to_owned();
                for seat in row["seats"].as_array_mut().unwrap() {
                    count += 1;
                    let prefix = if usual { number.as_str() } else { " 가-" };
                    seat["seat_guid"] = json!(format!("{prefix}{count}"));
                }
            }
        }
        let categories: Vec<Value> = CATEGORIES.iter().map(|name| json!({"name": name, "color": "#123456"})).collect();
        json!({"name": name, "size": {"width": 900, "height": 700}, "categories": categories, "zones": zones})
    })
}

/// Numbers as they are compared in JSON: 5 and 5.0 are one.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), as_floats(member))).collect(),
        other => other.clone(),
    }
}

fn plan_of(file: &Value) -> Plan {
    try_read(file).unwrap().plan
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn pretix_keeps_what_people_and_mappings_know(file in file()) {
        let plan = plan_of(&file);
        let again = written(&plan);
        prop_assert_eq!(complaints(&again), [""; 0]);
        prop_assert_eq!(lines(&again), lines(&file));
        prop_assert_eq!(as_floats(&areas(&again).into()), as_floats(&areas(&file).into()));
        for name in ["name", "size", "categories"] {
            prop_assert_eq!(&again[name], &file[name]);
        }
        let twice = plan_of(&again);
        prop_assert_eq!(&twice.parts().areas, &plan.parts().areas);
        prop_assert_eq!(written(&twice), again, "written twice, the same");
    }

    #[test]
    fn the_compact_format_keeps_everything(file in file()) {
        let plan = plan_of(&file);
        let read = read(write(&plan, Format::Turnstile).as_bytes(), None, "x").unwrap();
        prop_assert_eq!(read.format, Format::Turnstile);
        prop_assert_eq!(read.plan, plan);
    }

    #[test]
    fn csv_keeps_seats_aisles_and_tags(mut file in file(), tags in vec((0..24_u32, any::<bool>()), 1..40)) {
        // Rows of one number would be one row.
        for zone in file["zones"].as_array_mut().unwrap() {
            for (index, row) in zone["rows"].as_array_mut().unwrap().iter_mut().enumerate() {
                row["row_number"] = json!(format!("{index} {}", row["row_number"].as_str().unwrap()));
            }
        }
        let plan = tagged(&plan_of(&file), &tags);
        let read = read(write(&plan, Format::Csv).as_bytes(), None, "x").unwrap();
        prop_assert_eq!(read.format, Format::Csv);
        prop_assert_eq!(seats_of(&read.plan), seats_of(&plan));
    }

    #[test]
    fn every_seat_has_a_run_and_a_label(file in file()) {
        let plan = plan_of(&file);
        for section in plan.sections() {
            for number in 1..=u32::try_from(section.seats.len()).unwrap() {
                let run = section.run_of(number).unwrap();
                prop_assert!((run.first..run.first + run.count).contains(&number));
                prop_assert!(plan.label(&section.name, number).unwrap().starts_with(&section.label));
            }
            prop_assert!(section.run_of(0).is_none() && section.label_of(u32::MAX).is_none());
        }
        prop_assert!(draw(&plan).ends_with("</svg>\n"));
    }

    #[test]
    fn no_file_makes_a_reader_panic(file in file(), format in 0..3_usize, cuts in vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut bytes = write(&plan_of(&file), Format::ALL[format]).into_bytes();
        for (at, byte) in cuts {
            let at = usize::from(at) % bytes.len();
            match byte {
                0..64 => bytes.truncate(at.max(1)),
                64..128 => drop(bytes.remove(at)),
                // Digits and structure are where it hurts.
                _ => bytes[at] = b"0123456789-.e\",:{}[]\n\xff"[usize::from(byte) % 22],
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        for format in [None, Some(Format::ALL[format])] {
            if let Ok(read) = read(&bytes, format, "x") {
                draw(&read.plan);
                let _ = Format::ALL.map(|format| write(&read.plan, format));
            }
        }
    }
}

/// The plan with wheelchair places, companions and restricted views on some of its seats.
fn tagged(plan: &Plan, tags: &[(u32, bool)]) -> Plan {
    let mut parts = plan.parts().clone();
    for (section, pick) in parts.sections.iter_mut().zip(tags.chunks(3)) {
        let count = u32::try_from(section.seats.len()).unwrap();
        for (number, restricted) in pick {
            let number = number % count + 1;
            if *restricted {
                section.tags.restricted_view.insert(number);
            } else if number < count && !section.tags.companion.contains_key(&number) {
                section.tags.wheelchair.insert(number);
                if !section.tags.wheelchair.contains(&(number + 1)) {
                    section.tags.companion.insert(number + 1, number);
                }
            }
        }
    }
    Plan::new(parts).unwrap()
}

type ByRow = (String, String, String, Vec<DraftSeat>);

/// Section, row, the categories of its seats, and the seats with their tags, less what CSV has no column for.
fn seats_of(plan: &Plan) -> Vec<ByRow> {
    let mut rows = Vec::new();
    for zone in zones_of(plan) {
        for (row, section) in zone.zone.rows.into_iter().zip(zone.sections) {
            let categories: Vec<_> =
                row.seats.iter().map(|seat| plan.categories()[usize::from(seat.seat.category)].name.as_str()).collect();
            let seats = row.seats.iter().cloned().map(|mut seat| {
                (seat.seat.radius, seat.seat.start_direction, seat.seat.category) = (0, None, 0);
                seat
            });
            rows.push((section.to_owned(), row.row.number, categories.join("\n"), seats.collect()));
        }
    }
    rows
}

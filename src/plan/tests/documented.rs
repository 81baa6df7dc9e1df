//! The examples in `docs/plans.md` are what they are said to be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plan::{Format, read, sections, write};

fn blocks(language: &str) -> Vec<&'static str> {
    let text = include_str!("../../../docs/plans.md");
    text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(language)).collect()
}

#[test]
fn every_example_is_read_without_a_warning() {
    let (json, csv) = (blocks("json\n"), blocks("csv\n"));
    assert_eq!((json.len(), csv.len()), (3, 1));
    for (file, format, seats) in
        [(json[0], Format::Pretix, 2), (csv[0], Format::Csv, 5), (json[1], Format::Turnstile, 4)]
    {
        let read = read(file.as_bytes(), None, "Haus").unwrap();
        assert_eq!((read.format, read.plan.seats(), read.warnings), (format, seats, vec![]));
    }
    let canonical: Value = serde_json::from_str(json[1]).unwrap();
    let plan = read(json[1].as_bytes(), None, "").unwrap().plan;
    assert_eq!(serde_json::from_str::<Value>(&write(&plan, Format::Turnstile)).unwrap(), canonical);
    let prices = BTreeMap::from([("R".to_owned(), 110_000)]);
    let bodies = serde_json::to_value(sections(&plan, &prices, &[]).unwrap()).unwrap();
    assert_eq!(bodies[0], serde_json::from_str::<Value>(json[2]).unwrap());
}

//! CSV: what a house manager's spreadsheet says.

use crate::plan::{Plan, PlanError, read};

fn csv(text: &str) -> Result<(Plan, Vec<String>), PlanError> {
    let read = read(text.as_bytes(), None, "Saal")?;
    Ok((read.plan, read.warnings.iter().map(ToString::to_string).collect()))
}

fn plan(text: &str) -> Plan {
    let (plan, warnings) = csv(text).unwrap();
    assert_eq!(warnings, [""; 0], "{text}");
    plan
}

#[test]
fn three_columns_are_enough() {
    let hall = plan("section,row,seat\nParkett,A,1\nParkett,A,2\nRang,1,1\nParkett,A,3\nParkett,B,1\n");
    assert_eq!(hall.name(), "Saal");
    let names: Vec<_> = hall.categories().iter().map(|category| category.name.as_str()).collect();
    assert_eq!(names, ["Parkett", "Rang"], "a section is a category of its name");
    let parkett = hall.section("Parkett").unwrap();
    let runs: Vec<_> = parkett.runs.iter().map(|run| (run.first, run.count, run.row)).collect();
    assert_eq!(runs, [(1, 3, 0), (4, 1, 1)], "lines of a row need not follow each other");
    assert_eq!(hall.label("Parkett", 4).unwrap(), "Parkett, row B, seat 1");
    assert_eq!(parkett.seats[3].guid, "Parkett-B-1");
    let mut places: Vec<_> = hall.sections().iter().flat_map(|s| &s.seats).map(|s| (s.at.x, s.at.y)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 5, "every seat has a place of its own");
}

#[test]
fn semicolons_tabs_quotes_and_decimal_commas_are_read() {
    let expected = plan("section,row,seat,x,y\n\"A, left\",1,1,10.5,20\n\"A, left\",1,2,30,20\n");
    for text in [
        "Section;Row;Seat;X;Y\r\nA, left;1;1;10,5;20\r\nA, left;1;2;30;20\r\n",
        " section \trow\tseat\tx\ty\nA, left\t1\t1\t10.5\t20\n\nA, left\t1\t2\t30\t20",
    ] {
        assert_eq!(plan(text), expected, "{text}");
    }
}

#[test]
fn aisles_are_said_or_seen() {
    let runs = |text: &str| -> Vec<(u32, u32)> {
        let mut runs: Vec<_> = plan(text).sections()[0].runs.iter().map(|run| (run.at, run.count)).collect();
        runs.sort_unstable();
        runs
    };
    let seen = "section,row,seat,x,y\nA,1,1,0,0\nA,1,2,20,0\nA,1,3,40,0\nA,1,4,73,0\nA,1,5,93,0\n";
    assert_eq!(runs(seen), [(0, 3), (3, 2)], "33 is more than 1.6 times 20");
    assert_eq!(runs(&seen.replace("73,", "71,").replace("93,", "91,")), [(0, 5)], "31 is not");
    let said = "section,row,seat,tags\nA,1,1,\nA,1,2,aisle\nA,1,3,aisle aisle_before\nA,1,4,\n";
    assert_eq!(runs(said), [(0, 2), (2, 2)]);
    let both = "section,row,seat,x,y,tags\nA,1,1,0,0,\nA,1,2,20,0,aisle_before\nA,1,3,90,0,\n";
    assert_eq!(runs(both), [(0, 1), (1, 2)], "a file that says where aisles are is believed");
}

#[test]
fn companions_find_their_places() {
    let hall = plan(
        "section,row,seat,tags,companion_of\nA,W,1,wheelchair,\nA,W,2,companion,\nA,W,3,,4\nA,W,4,WHEELCHAIR,\n\
         A,V,1,companion,A-W-4\nA,V,2,\"restricted_view, aisle\",\n",
    );
    let section = &hall.sections()[0];
    let number = |guid: &str| section.seats.iter().zip(1..).find(|(seat, _)| seat.guid == guid).unwrap().1;
    let pair = |seat: &str, place: &str| (number(seat), number(place));
    let mut expected = vec![pair("A-W-2", "A-W-1"), pair("A-W-3", "A-W-4"), pair("A-V-1", "A-W-4")];
    expected.sort_unstable();
    assert_eq!(section.tags.companion.clone().into_iter().collect::<Vec<_>>(), expected);
    assert!(section.tags.restricted_view.contains(&number("A-V-2")));
    assert!(section.tags.aisle.contains(&number("A-V-2")));
}

#[test]
fn broken_files_are_refused_with_the_line() {
    let bom_and_latin1 = b"section,row,seat\nA,1,1\nA,1,\xe9\n";
    assert_eq!(read(bom_and_latin1, None, "x").unwrap_err().to_string(), "line 3: this is not UTF-8 text");
    for (text, expected) in [
        ("", "line 1: column \"section\" is missing; section, row and seat are required"),
        ("section,row\n", "line 1: column \"seat\" is missing; section, row and seat are required"),
        ("section,row,seat,Row\n", "line 1: column \"row\" is there twice"),
        ("section,row,seat,x\n", "line 1: columns \"x\" and \"y\" go together"),
        ("section,row,seat\n", "/categories: a plan has 1 to 100 categories"),
        ("section,row,seat\nA,1\n", "line 2: 2 fields, but the first line has 3"),
        ("section,row,seat\n,1,1\n", "line 2: section is empty"),
        ("section,row,seat\nA,1,\n", "line 2: seat is empty"),
        ("section,row,seat\nA,1,1\nA,1,2\n\nA,1,1\n", "line 5: seat \"A-1-1\" is there twice, first on line 2"),
        ("section,row,seat\r\n\r\n\r\nA,1,1\r\nA,1,1\r\n", "line 5: seat \"A-1-1\" is there twice, first on line 4"),
        ("section,row,seat\r\nA,1,1\r\n\r\nA,1\r\n", "line 4: 2 fields, but the first line has 3"),
        ("section,row,seat,x,y\nA,1,1,5,\n", "line 2: y is \"\", not a number up to 1000000"),
        ("section,row,seat,x,y\nA,1,1,inf,1\n", "line 2: x is \"inf\", not a number up to 1000000"),
        ("section,row,seat,category\nA,1,1,\n", "line 2: category must be 1 to 64 visible characters"),
        (
            "section,row,seat,tags\nA,1,1,companion\n",
            "line 2: a companion's seat needs a wheelchair place: its row has none",
        ),
        (
            "section,row,seat,companion_of\nA,1,1,\nA,1,2,1\n",
            "line 3: a companion's seat needs a wheelchair place: \"1\" is none",
        ),
        (
            "section,row,seat,tags\nA,1,1,wheelchair companion\n",
            "line 2: a seat is a wheelchair place or a companion's, not both",
        ),
    ] {
        assert_eq!(csv(text).unwrap_err().to_string(), expected, "{text:?}");
    }
}

#[test]
fn odd_columns_and_tags_are_named() {
    let (_, warnings) = csv("section,row,seat,price,tags\nA\u{200b},1,1,5,vip\nA,1,2,5,vip aisle\n").unwrap();
    let expected = [
        "line 1: column \"price\" is ignored",
        "line 2: section has invisible characters: left out",
        "line 2: tag \"vip\" is ignored (2 times)",
    ];
    assert_eq!(warnings, expected);
}

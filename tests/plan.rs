//! `turnstile plan` from outside: what it prints, writes and refuses.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn plan(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TURNSTILE")) {
        command.env_remove(name);
    }
    command.arg("plan").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // It reads to the end before it prints, or ends without reading.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    output
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn drawing() -> Value {
    let seat = |number: u32| {
        let guid = format!("guid-{number}");
        json!({"seat_guid": guid, "seat_number": number.to_string(), "position": {"x": 100 + 20 * number, "y": 100},
               "category": "R", "status": "free"})
    };
    json!({
        "name": "Haus", "size": {"width": 400, "height": 300}, "categories": [{"name": "R", "color": "#f00"}],
        "zones": [{"name": "Parkett", "position": {"x": 0, "y": 0}, "rows": [
            {"row_number": "C", "row_number_position": "left", "seats": [seat(1), seat(2), seat(3)]},
        ]}],
    })
}

#[test]
fn check_lists_sections_categories_counts_and_warnings() {
    let text = stdout(&plan(&["check", "-"], drawing().to_string().as_bytes()));
    for expected in [
        "plan      Haus\n",
        "format    pretix\n",
        "seats     3 (1 rows, 1 runs)\n",
        "       3  R\n",
        "       3      1      1  Parkett, best seat: Parkett, row C, seat 1\n",
        "warnings  2\n",
        "  /zones/0/rows/0/row_number_position: \"left\" is read as \"start\"\n",
        "  /zones/0/rows/0/seats/0/status: \"status\" of a seat is ignored (3 times)\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn a_drawing_goes_around_through_all_formats() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("drawing.json"), drawing().to_string()).unwrap();
    let imported = plan(&["import", &path("drawing.json"), "--output", &path("plan.json")], b"");
    assert_eq!(stdout(&imported), "");
    assert!(stderr(&imported).contains("warning: /zones/0/rows/0/row_number_position"), "{}", stderr(&imported));

    let exported = stdout(&plan(&["export", &path("plan.json"), "--format", "pretix"], b""));
    let exported: Value = serde_json::from_str(&exported).unwrap();
    let seats = |of: &Value| of["zones"][0]["rows"][0]["seats"].clone();
    let mut expected = seats(&drawing());
    expected.as_array_mut().unwrap().iter_mut().for_each(|seat| drop(seat.as_object_mut().unwrap().remove("status")));
    assert_eq!(seats(&exported), expected);
    assert_eq!(exported["categories"], drawing()["categories"]);

    let csv = plan(&["export", &path("plan.json"), "--format", "csv"], b"");
    assert_eq!(stdout(&csv).lines().next().unwrap(), "section,row,seat,category,x,y,tags,companion_of,guid");
    let again = stdout(&plan(&["export", "-", "--format", "csv", "--name", "x"], &csv.stdout));
    assert_eq!(again, stdout(&csv));
    let svg = stdout(&plan(&["draw", &path("plan.json")], b""));
    assert!(svg.starts_with("<svg ") && svg.contains("Parkett, row C, seat 3"), "{svg}");
}

#[test]
fn sections_are_what_a_date_takes() {
    let prices = ["--price", "R=110000", "--price", "S=90000", "--price", "A=50000"];
    let arguments = ["export", "--demo", "theater", "--format", "sections", "--blocked", "Balcony-A-1"];
    let text = stdout(&plan(&[&arguments[..], &prices].concat(), b""));
    let body: Value = serde_json::from_str(&text).unwrap();
    let sections = body["sections"].as_array().unwrap();
    assert_eq!(sections.iter().map(|section| section["seats"].as_u64().unwrap()).sum::<u64>(), 600);
    assert_eq!(sections[0]["categories"][0], json!({"name": "R", "price": 110_000}));
    assert!(sections[1]["not_for_sale"].is_array() && sections[0]["companions"].is_array());
    let without = plan(&arguments, b"");
    assert_eq!(without.status.code(), Some(64));
    assert!(stderr(&without).contains("category \"R\" has no price"), "{}", stderr(&without));
}

#[test]
fn wrong_files_and_arguments_exit_64_with_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.json");
    std::fs::write(&file, "{\"name\": \"x\", \"categories\": [], \"zones\": 7}").unwrap();
    let file = file.to_str().unwrap();
    let missing = Path::new(file).with_file_name("none.json");
    for (args, expected) in [
        (&["check", file][..], format!("{file}: /zones: must be an array")),
        (&["draw", missing.to_str().unwrap()], format!("{} cannot be read", missing.display())),
        (&["check", "--from", "csv", file], format!("{file}: line 1: column ")),
    ] {
        let output = plan(args, b"");
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        let error = stderr(&output);
        assert!(error.starts_with("turnstile: ") && error.contains(&expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    for args in [
        &["check"][..],
        &["check", file, "--demo", "theater"],
        &["check", "--demo", "cinema"],
        &["export", file],
        &["export", file, "--format", "svg"],
        &["export", file, "--format", "sections", "--price", "R"],
    ] {
        assert_eq!(plan(args, b"").status.code(), Some(64), "{args:?}");
    }
}

//! Long runs of a target without instrumentation: lines of the corpora and of the golden commands in any order, changed at
//! random. `TURNSTILE_FUZZ_INPUTS=5000000 cargo test --release --test corpus -- --ignored --nocapture owner`; the same
//! `TURNSTILE_FUZZ_SEED` (0) gives the same inputs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::{corpus, targets};

const LINES_MAX: u64 = 12;
/// Texts that turn up in commands.
const WORDS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "9",
    "100",
    "9223372036854775807",
    "18446744073709551616",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"alice\"",
    "\"bob\"",
    "\"main\"",
    "\"A-2\"",
    "\"A-9\"",
    "\"2027-02-01T00:00:00Z\"",
];

struct Prng(u64);

impl Prng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Lines of the target's corpus, and each golden command on each lane.
fn lines(name: &str, lane_first: bool) -> Vec<Vec<u8>> {
    let split = |input: Vec<u8>| input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut lines: BTreeSet<Vec<u8>> = corpus(name).into_iter().flat_map(split).collect();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        let mut golden = std::fs::read(entry.unwrap().path()).unwrap();
        golden.retain(|byte| *byte != b'\n');
        if lane_first {
            lines.extend((0..4).map(|lane| [&[lane], &golden[..]].concat()));
        } else {
            lines.insert(golden);
        }
    }
    lines.into_iter().filter(|line| line.len() > 1).collect()
}

/// Changes a value's text: a byte, a piece, or a word in place of a field's value.
fn change(line: &mut Vec<u8>, prng: &mut Prng) {
    let at = prng.below(line.len());
    match prng.below(6) {
        0 => line[at] = prng.next() as u8,
        1 => line[at] = line[at].wrapping_add(1),
        2 => drop(line.drain(at..(at + 1 + prng.below(8)).min(line.len()))),
        3 => {
            let piece = line[at..(at + prng.below(40)).min(line.len())].to_vec();
            line.splice(at..at, piece);
        }
        _ => {
            let Some(colon) = line[at..].iter().position(|byte| *byte == b':') else { return };
            let from = at + colon + 1;
            let length = line[from..].iter().position(|byte| b",}]".contains(byte)).unwrap_or(0);
            line.splice(from..from + length, prng.pick(&WORDS).bytes());
        }
    }
}

fn input(lines: &[Vec<u8>], prng: &mut Prng) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..1 + prng.next() % LINES_MAX {
        let mut line = prng.pick(lines).clone();
        // Half of the lines stay commands that mean something.
        for _ in 0..prng.below(2) * (1 + prng.below(3)) {
            if !line.is_empty() {
                change(&mut line, prng);
            }
        }
        // Some time passes.
        if let Some(first) = line.first_mut().filter(|_| prng.below(2) == 0) {
            *first = first.wrapping_add(4 * prng.below(64) as u8);
        }
        input.extend(line);
        input.push(b'\n');
    }
    input
}

fn run(name: &str, lane_first: bool, target: fn(&[u8])) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let inputs = number("TURNSTILE_FUZZ_INPUTS").unwrap_or(20_000);
    let mut prng = Prng(number("TURNSTILE_FUZZ_SEED").unwrap_or(0));
    let (lines, began) = (lines(name, lane_first), Instant::now());
    for done in 1..=inputs {
        let seed = prng.0;
        let input = input(&lines, &mut prng);
        let ran = std::panic::catch_unwind(|| target(&input));
        assert!(ran.is_ok(), "input {done}, TURNSTILE_FUZZ_SEED={seed}: {}", input.escape_ascii());
        if done % 100_000 == 0 {
            println!("{name}: {done} inputs in {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    println!("{name}: {inputs} inputs in {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
#[ignore = "runs as long as it is told to"]
fn owner() {
    run("owner", true, targets::owner);
}

#[test]
#[ignore = "runs as long as it is told to"]
fn inbox() {
    run("inbox", false, targets::inbox);
}

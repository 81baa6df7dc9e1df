//! Texts that people read: names, labels, colors.

use std::borrow::Cow;
use std::collections::HashSet;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Longest name of a section or category, in characters.
pub const NAME_MAX: usize = 64;
/// Longest of any other text, in characters.
pub const TEXT_MAX: usize = 256;
/// Longest guid: a section, a row and a seat, each as long as it may be.
pub const GUID_MAX: usize = 1_024;

/// Changes how others are shown, or ends a line.
fn is_invisible(c: char) -> bool {
    !matches!(c, ' '..='~')
        && (c.is_control()
            || matches!(
                c.general_category(),
                GeneralCategory::Format | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
            ))
}

/// The text in NFC without surrounding spaces and without invisible characters; whether some had to go.
pub fn clean(text: &str) -> (Cow<'_, str>, bool) {
    let trimmed = text.trim();
    if !trimmed.chars().any(is_invisible) {
        return (nfc(trimmed), false);
    }
    let mut visible = String::with_capacity(trimmed.len());
    for c in trimmed.chars() {
        match c {
            c if !is_invisible(c) => visible.push(c),
            c if c.is_whitespace() && !visible.ends_with(' ') => visible.push(' '),
            _ => {}
        }
    }
    (Cow::Owned(nfc(visible.trim()).into_owned()), true)
}

fn nfc(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

/// Whether [`clean`] would leave it as it is, and it has 1 to `max` characters.
pub fn is_clean(text: &str, max: usize) -> bool {
    !text.is_empty() && fits(text, max) && matches!(clean(text), (Cow::Borrowed(cleaned), false) if cleaned == text)
}

pub fn fits(text: &str, max: usize) -> bool {
    text.len() <= max || text.chars().count() <= max
}

/// The first characters, without a space at the end.
pub fn shortened(text: &str, max: usize) -> &str {
    let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
    text[..end].trim_end()
}

/// `wish`, or the first of `wish 2`, `wish 3` … that is not taken; takes it.
pub fn unique_name(wish: &str, taken: &mut HashSet<String>) -> String {
    let numbered = |number: usize| {
        let suffix = format!(" {number}");
        format!("{}{suffix}", shortened(wish, NAME_MAX - suffix.len()))
    };
    let mut name = shortened(wish, NAME_MAX).to_owned();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = numbered(number);
    }
    name
}

/// What may stand in an attribute of a drawing: `#a1b2c3`, `rgb(1, 2, 3)`, `tomato`.
pub fn is_color(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'#' | b'(' | b')' | b',' | b'.' | b'%' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned() {
        for (text, expected, changed) in [
            ("Parkett", "Parkett", false),
            ("  Loge 1\u{a0}", "Loge 1", false),
            ("Empore\u{301}e", "Emporée", false),
            ("가나다", "가나다", false),
            ("Row\u{200b}A", "RowA", true),
            ("\u{202e}evil", "evil", true),
            ("two\r\nlines\u{2028}more", "two lines more", true),
            ("\u{feff}", "", true),
        ] {
            assert_eq!(clean(text), (Cow::Borrowed(expected), changed), "{text:?}");
            assert!(expected.is_empty() || is_clean(expected, NAME_MAX), "{text:?}");
        }
        assert!(!is_clean(" a", NAME_MAX) && !is_clean("e\u{301}", NAME_MAX) && !is_clean("", NAME_MAX));
    }

    #[test]
    fn names_stay_unique_and_short() {
        let mut taken = HashSet::new();
        let long = "가".repeat(70);
        let names: Vec<String> = (0..12).map(|_| unique_name(&long, &mut taken)).collect();
        assert!(names.iter().all(|name| is_clean(name, NAME_MAX)));
        assert_eq!(taken.len(), 12);
        assert!(names[11].ends_with("가 12"));
    }

    #[test]
    fn a_color_is_no_markup() {
        assert!(is_color("#7fc97f") && is_color("rgb(1, 2, 3)"));
        for bad in ["", "\"/><script>", "url(javascript:x)", "a;b", &"a".repeat(65)] {
            assert!(!is_color(bad), "{bad}");
        }
    }
}

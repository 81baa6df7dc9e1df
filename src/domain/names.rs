//! Names people give: users, sections, categories, blocks, reasons. Each is checked once, where it is made.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use unicode_normalization::is_nfc;

use super::texts::InvalidText;

/// Characters that only change how others are shown (general category Cf of Unicode 16): two names that differ in
/// them look the same. A table of our own, because a name that a log once held must stay valid whatever Unicode version a
/// library has.
const FORMAT: [(u32, u32); 21] = [
    (0xAD, 0xAD),
    (0x600, 0x605),
    (0x61C, 0x61C),
    (0x6DD, 0x6DD),
    (0x70F, 0x70F),
    (0x890, 0x891),
    (0x8E2, 0x8E2),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0001, 0xE0001),
    (0xE0020, 0xE007F),
];

fn is_format(c: char) -> bool {
    // Every name is checked on every command: most have nothing beyond ASCII.
    !c.is_ascii() && FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(c)))
}

/// 1 to `max` characters, no control or format characters.
fn is_visible(text: &str, max: usize) -> bool {
    // A character takes at most four bytes, so a long text is refused before it is counted.
    !text.is_empty()
        && text.len() <= max * 4
        && text.chars().count() <= max
        && !text.chars().any(|c| c.is_control() || is_format(c))
}

fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $check:expr, $error:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok($name(text.into())) } else { Err(InvalidText($error)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

names! {
    /// A user, as the login names them; compared byte for byte.
    UserId, |text| is_visible(text, 128), "a user id is 1 to 128 characters, none of them a control or format character";
    /// A section of a hall, in NFC.
    SectionName, |text| is_visible(text, 64) && is_nfc(text),
        "a section name is 1 to 64 characters in NFC, none of them a control or format character";
    /// A price category, in NFC.
    CategoryName, |text| is_visible(text, 64) && is_nfc(text),
        "a category name is 1 to 64 characters in NFC, none of them a control or format character";
    /// A block of a date: 1–32 of `A-Za-z0-9._-`.
    BlockName, |text| is_plain(text, 32), "a block name is 1 to 32 of A-Z a-z 0-9 . _ -";
    /// Why money moved, for the wallet's history: up to 200 characters, no control characters.
    Reason, |text| text.chars().count() <= REASON_MAX && !text.chars().any(char::is_control),
        "a reason is at most 200 characters, none of them a control character";
}

/// Longest [`Reason`], in characters.
pub const REASON_MAX: usize = 200;

impl BlockName {
    /// The block of a date that names none.
    pub fn main() -> BlockName {
        BlockName("main".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_what_login_servers_give() {
        for good in ["a", "auth0|5f7c8ec7c33c6c004bbafe82", "이름", "a b", "O'Brien <o@example.org>", &"x".repeat(128)]
        {
            assert!(good.parse::<UserId>().is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "a\0", "a\u{200b}b", "\u{202e}a", &"x".repeat(129)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn format_characters_are_those_of_unicode_16() {
        // UnicodeData.txt 16.0.0 has 170 of general category Cf.
        let all = (0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|c| is_format(*c));
        assert_eq!(all.count(), 170);
        assert!(FORMAT.is_sorted() && FORMAT.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for (text, good) in [("\u{ad}", false), ("\u{2064}", false), ("\u{2065}", true), ("\u{e0001}", false)] {
            assert_eq!(text.parse::<UserId>().is_ok(), good, "{text:?}");
        }
        for (text, good) in [("\u{e0002}", true), ("\u{e0020}", false), ("\u{e007f}", false), ("\u{e0080}", true)] {
            assert_eq!(text.parse::<UserId>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert!("\u{1f600}".repeat(128).parse::<UserId>().is_ok());
        assert!("\u{1f600}".repeat(129).parse::<UserId>().is_err());
        assert!("\u{1f600}".repeat(64).parse::<SectionName>().is_ok());
        assert!("\u{1f600}".repeat(REASON_MAX).parse::<Reason>().is_ok());
        assert!("x".repeat(REASON_MAX + 1).parse::<Reason>().is_err() && "a\0".parse::<Reason>().is_err());
    }

    #[test]
    fn section_names_have_one_spelling() {
        assert!("Parkett \u{e9}".parse::<SectionName>().is_ok());
        // A combining accent, conjoining jamo, a compatibility character with a canonical equivalent.
        for bad in ["Parkett e\u{301}", "\u{1112}\u{1161}\u{11ab}", "\u{2126}"] {
            assert!(bad.parse::<SectionName>().is_err() && bad.parse::<CategoryName>().is_err(), "{bad:?} is not NFC");
            assert!(bad.parse::<UserId>().is_ok(), "a user id is compared byte for byte");
        }
        assert!("x".repeat(65).parse::<SectionName>().is_err());
    }

    #[test]
    fn block_names_are_plain() {
        assert!("north.1".parse::<BlockName>().is_ok());
        for bad in ["", "nö", "a/b", &"x".repeat(33)] {
            assert!(bad.parse::<BlockName>().is_err(), "{bad}");
        }
    }
}

//! Which neighbors a hold gets that does not name its seats.

use std::collections::BTreeSet;

use crate::domain::block::SEATS_PER_HOLD_MAX;
use crate::domain::block::layout::Span;
use crate::domain::block::stretches::{Place, Scope, Stretches};

/// The first seat of those to take: the lowest stretch of free seats that leaves no single free seat behind, else the
/// lowest stretch that is long enough, else none.
///
/// Within a stretch, starting anywhere but at its first seat helps nothing: the rest is one seat only if the stretch is
/// `count + 1` long, and then each start leaves one.
///
/// `closed`: seats that are free for others only, ascending.
pub(super) fn first_seat(stretches: &Stretches, scope: Scope, count: u32, closed: &[Place]) -> Option<Place> {
    if !(1..=SEATS_PER_HOLD_MAX).contains(&count) {
        return None;
    }
    let (split, rests) = around(stretches, scope, closed);
    let of_rests =
        |fits: &dyn Fn(u32) -> bool| rests.iter().filter(|(_, length)| fits(*length)).map(|(first, _)| *first).min();
    let fitting = stretches.fitting(scope, count, &split);
    let fitting = fitting.into_iter().chain(of_rests(&|length| length == count || length >= count + 2)).min();
    let lowest = || {
        let lowest = stretches.lowest(scope, count, &split);
        lowest.into_iter().chain(of_rests(&|length| length >= count)).min()
    };
    fitting.or_else(lowest)
}

/// The stretches that closed seats lie in, by first seat, and what is left of them: first seat and length.
fn around(stretches: &Stretches, scope: Scope, closed: &[Place]) -> (BTreeSet<Place>, Vec<(Place, u32)>) {
    let mut split = BTreeSet::new();
    let mut rests = Vec::new();
    let mut open: Option<(Place, u32)> = None;
    for place in closed {
        let Some((first, last)) = stretches.around(*place) else { continue };
        if split.insert(first) {
            rests.extend(open.take());
            open = stretches.is_in(scope, first, last).then_some((first, last));
        }
        if let Some((from, last)) = open {
            let before = Span { first: from.number, last: place.number.saturating_sub(1) };
            if !before.is_empty() {
                rests.push((from, before.last));
            }
            let after = Place { number: place.number + 1, ..*place };
            open = (after.number <= last).then_some((after, last));
        }
    }
    rests.extend(open);
    (split, rests.into_iter().map(|(first, last)| (first, last - first.number + 1)).collect())
}

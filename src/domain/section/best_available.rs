//! Which neighbours a hold gets that does not name its seats.

/// The number of the first seat of the run to take, given in order of number which seats are free.
///
/// The lowest run of `wanted` neighbours that leaves no single free seat behind, else the lowest run, else none.
/// Within a stretch of free seats, starting anywhere but at its first seat helps nothing: the stretch's rest is one
/// seat only if the stretch is `wanted + 1` long, and then each start leaves one.
pub(super) fn first_seat(free: impl Iterator<Item = bool>, wanted: u32) -> Option<u32> {
    if wanted == 0 {
        return None;
    }
    let mut leaves_one = None;
    let mut stretch = 0;
    // One taken seat behind the last is the wall that ends its stretch.
    for (number, is_free) in (1..).zip(free.chain(std::iter::once(false))) {
        if is_free {
            stretch += 1;
            // Long enough whatever follows.
            if stretch >= wanted.saturating_add(2) {
                return Some(number + 1 - stretch);
            }
            continue;
        }
        if stretch == wanted {
            return Some(number - stretch);
        }
        if stretch > wanted {
            leaves_one = leaves_one.or(Some(number - stretch));
        }
        stretch = 0;
    }
    leaves_one
}

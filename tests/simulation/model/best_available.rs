//! The best neighbors, by trying every stretch.

use turnstile::domain::SeatId;
use turnstile::domain::block::BestAvailable;

use super::hall::{Hall, Section};

/// The seats to take: the first stretch in order of sections and seats that leaves no single seat behind, else the first
/// stretch, else none. `offered`: the seats that may be given.
pub fn choose(hall: &Hall, wanted: &BestAvailable, offered: &dyn Fn(&SeatId) -> bool) -> Option<Vec<SeatId>> {
    let name = wanted.section.as_ref().map(|name| name.as_str());
    let sections = hall.sections.iter().filter(|section| name.is_none_or(|name| section.name == name));
    let stretches: Vec<Stretch> = sections.flat_map(|section| stretches(section, wanted, offered)).collect();
    let best = stretches.iter().find(|stretch| !stretch.leaves_single).or(stretches.first());
    best.map(|stretch| stretch.seats.clone())
}

struct Stretch {
    seats: Vec<SeatId>,
    leaves_single: bool,
}

fn stretches(section: &Section, wanted: &BestAvailable, offered: &dyn Fn(&SeatId) -> bool) -> Vec<Stretch> {
    let count = wanted.count as usize;
    let id = |index: usize| SeatId { section: section.name.parse().expect("a section name"), number: index as u32 + 1 };
    let is_offered: Vec<bool> = (0..section.places.len()).map(|index| offered(&id(index))).collect();
    // Neighbors of one price category.
    let joined = |left: usize, right: usize| {
        let (left, right) = (&section.places[left], &section.places[right]);
        left.run == right.run && left.category == right.category
    };
    let mut found = Vec::new();
    for start in 0..section.places.len() {
        let end = start + count;
        let of_category = wanted.category.as_ref().is_none_or(|name| section.places[start].category == name.as_str());
        let fits = end <= section.places.len()
            && is_offered[start..end].iter().all(|offered| *offered)
            && (start + 1..end).all(|index| joined(index - 1, index));
        if !fits || !of_category {
            continue;
        }
        let free_before = (0..start).rev().take_while(|index| is_offered[*index] && joined(*index, index + 1)).count();
        let after = end..section.places.len();
        let free_after = after.take_while(|index| is_offered[*index] && joined(index - 1, *index)).count();
        let leaves_single = free_before == 1 || free_after == 1;
        found.push(Stretch { seats: (start..end).map(id).collect(), leaves_single });
    }
    found
}

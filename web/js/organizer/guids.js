// Seats as a plan's file calls them.

/** `A-12` → guid. Where the plan names none, zone, row and number do. */
export function guidsOf(plan) {
  const guids = new Map();
  for (const drawn of plan.sections) {
    const zone = plan.zones?.[drawn.zone] ?? {};
    for (const [first, count, row, at] of drawn.runs) {
      for (let index = 0; index < count; index += 1) {
        const place = first + index - 1;
        const printed = drawn.seat_numbers?.[place] ?? String(at + index + 1);
        guids.set(`${drawn.name}-${place + 1}`, drawn.guids?.[place] ?? `${zone.id ?? zone.name ?? ''}-${drawn.rows[row].number}-${printed}`);
      }
    }
  }
  return guids;
}

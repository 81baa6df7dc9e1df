// Seats by number, as people write them: `1-4, 9`.

import { Problem } from '../api.js';
import { t } from '../i18n.js';

/** `1-4, 9` → `[[1, 4], [9, 1]]`: first seat and count, ascending, each seat once. Null if it cannot be read. */
export function spansOf(text) {
  const numbers = new Set();
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const [, first, last = first] = part.match(/^(\d{1,6})(?:[-–](\d{1,6}))?$/) ?? [];
    if (!first || Number(first) < 1 || Number(last) < Number(first)) return null;
    for (let number = Number(first); number <= Number(last); number += 1) numbers.add(number);
  }
  return runsOf([...numbers].sort((a, b) => a - b));
}

/** Ascending numbers as first ones and counts. */
export function runsOf(numbers) {
  const runs = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last[0] + last[1] === number) last[1] += 1;
    else runs.push([number, 1]);
  }
  return runs;
}

/** The way back. */
export const textOf = (spans) => spans.map(([first, count]) => (count > 1 ? `${first}-${first + count - 1}` : String(first))).join(', ');

/** What is written into a form and cannot be read. */
export const unreadable = (field, text, line = 1) =>
  new Problem({ code: 'invalid_fields', errors: [{ pointer: field, detail: t('org.blockedWrong', { line, text }) }] }, 422, null);

const linesOf = (text) => text.split('\n').map((line, index) => ({ line: line.trim(), at: index + 1 })).filter(({ line }) => line);

/** `A 50 12000` a line: sections with name, seats and price. */
export function sectionsOf(text) {
  return linesOf(text).map(({ line }) => {
    const [, name, seats, price] = line.match(/^(.*?)\s+(\d+)\s+(\d+)$/) ?? [null, line, '0', '0'];
    return { name, seats: Number(seats), price: Number(price) };
  });
}

/** `A 1-4, 9` a line: what is not for sale, by name of the section. */
export function blockedOf(text, sections) {
  const found = new Map();
  for (const { line, at } of linesOf(text)) {
    // Names may have spaces and end with numbers: the longest section that fits is meant.
    const name = sections.filter((each) => line.startsWith(`${each} `)).sort((a, b) => b.length - a.length)[0];
    const spans = name === undefined ? null : spansOf(line.slice(name.length));
    if (!spans?.length) throw unreadable(t('org.blocked.title'), line, at);
    found.set(name, spans);
  }
  return found;
}

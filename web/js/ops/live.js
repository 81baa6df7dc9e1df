// Tables that change every second: rows stay the elements they are, so focus, selection and open menus survive.

import { fill, h, say } from '../dom.js';

/**
 * `heads`: texts of the columns. `key(item)` names a row. `cells(item)`: a text, `{ text, kind }`, or null for each column.
 * `act(current)`: a last column, made once a row: an element, or `{ root, update(item) }`; `current()` gives the row's item
 * as it is now.
 * @param {string} name
 * @param {string[]} heads
 * @param {{key: (item: any) => any, cells: (item: any) => any[], act?: (item: () => any) => any, none?: string}} options
 */
export function liveTable(name, heads, { key, cells, act, none }) {
  const body = h('tbody', {});
  const rows = new Map();
  const empty = h('p', { class: 'muted', hidden: true }, none ?? '');
  const table = h('table', { class: 'live' },
    h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)), act && h('th', { scope: 'col' }, h('span', { class: 'unseen' }, '…')))), body);
  // No landmark of its own: it stands in that of its panel, under the same name.
  const region = h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': name }, table);

  function make(id) {
    const row = { item: null, cells: heads.map((_, at) => (at === 0 ? h('th', { scope: 'row' }) : h('td', {}))) };
    row.act = act?.(() => row.item);
    row.root = h('tr', { 'data-key': id }, row.cells, row.act && h('td', { class: 'acts' }, row.act.root ?? row.act));
    return row;
  }

  function update(items) {
    const kept = new Set();
    items.forEach((item, at) => {
      const id = String(key(item));
      kept.add(id);
      if (!rows.has(id)) rows.set(id, make(id));
      const row = rows.get(id);
      row.item = item;
      cells(item).forEach((cell, column) => {
        const { text, kind } = cell !== null && typeof cell === 'object' ? cell : { text: cell ?? '–', kind: '' };
        say(row.cells[column], String(text));
        if (row.cells[column].className !== (kind ?? '')) row.cells[column].className = kind ?? '';
      });
      if (body.children[at] !== row.root) body.insertBefore(row.root, body.children[at] ?? null);
      row.act?.update?.(item);
    });
    for (const [id, row] of rows) {
      if (!kept.has(id)) {
        row.root.remove();
        rows.delete(id);
      }
    }
    region.hidden = items.length === 0;
    empty.hidden = items.length !== 0;
  }

  return { root: h('div', {}, region, empty), update };
}

/** Figures that keep their elements. */
export function figures(labels) {
  const values = labels.map(() => h('b', {}));
  const root = h('div', { class: 'figures' }, labels.map((label, at) => h('div', { class: 'figure' }, values[at], h('span', {}, label))));
  return { root, update: (texts) => texts.forEach((text, at) => say(values[at], text)) };
}

/** A section with a heading of its own. */
export function panel(id, title, ...children) {
  return h('section', { class: 'card stack', 'data-panel': id, 'aria-labelledby': `p-${id}` }, h('h2', { id: `p-${id}` }, title), children);
}

const SVG = 'http://www.w3.org/2000/svg';

/** A line of `values` (null: a gap), as high as the greatest of them. */
export function sparkline(values, label) {
  const [width, height] = [600, 80];
  const top = Math.max(1, ...values.filter((value) => value !== null));
  const step = width / Math.max(1, values.length - 1);
  let path = '';
  let gap = true;
  values.forEach((value, at) => {
    if (value === null) gap = true;
    else {
      path += `${gap ? 'M' : 'L'}${(at * step).toFixed(1)} ${(height - 2 - (value / top) * (height - 6)).toFixed(1)}`;
      gap = false;
    }
  });
  const svg = document.createElementNS(SVG, 'svg');
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', class: 'spark', role: 'img', 'aria-label': label })) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return fill(h('figure', { class: 'chart' }), svg, h('figcaption', { class: 'muted' }, label));
}

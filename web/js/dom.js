// Makes elements. Texts are always text nodes, so nothing that a user typed becomes markup.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * `h('button', {class: 'quiet', onclick: f}, 'Text', child)`; null, false and undefined children are left out.
 * @returns {any} whatever element the tag makes
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'disabled') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replaces all children. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Sets a text only if it differs: screen readers and selections stay where they are. */
export function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

const ICONS = {
  check: 'M4 12.5l5 5L20 6.5',
  clock: 'M12 7v5l3.5 2M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18',
  bell: 'M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 20.5h4',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  fit: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  close: 'M6 6l12 12M18 6L6 18',
  ticket: 'M3 8.5V6h18v2.5a3.5 3.5 0 0 0 0 7V18H3v-2.5a3.5 3.5 0 0 0 0-7M14 6v12',
  user: 'M12 12a4 4 0 1 0 0-8a4 4 0 0 0 0 8M4.5 20.5a7.5 7.5 0 0 1 15 0',
  back: 'M14.5 5.5L8 12l6.5 6.5',
  chair: 'M7 4v9h10V4M5 13h14v4H5zM7 17v3M17 17v3',
  wave: 'M2 12c2.5 0 2.5-5 5-5s2.5 10 5 10s2.5-10 5-10s2.5 5 5 5',
};

/** A drawing beside a text; it says nothing to screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [key, value] of Object.entries({ viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * A button with a text. `kind`: primary, quiet, danger or plain.
 * @param {any} text
 * @param {(event: any) => void} onclick
 * @param {Record<string, any>} [options] attributes, and `kind`
 * @returns {HTMLButtonElement}
 */
export function button(text, onclick, { kind = 'plain', ...attributes } = {}) {
  return h('button', { type: 'button', class: `button ${kind}`, onclick, ...attributes }, text);
}

// How seats look on the map. Status has a shape, category a color and a letter: nothing is told by color alone.

import { BLOCKED, FREE, HELD, SOLD } from './seats.js';

/** Radius on the screen, in CSS pixels, from which shapes and then numbers can be told apart. */
const SHAPES_FROM = 2.6;
const NUMBERS_FROM = 9;

/** Whether a seat of this radius has its number on it. */
export const isNumbered = (r) => r >= NUMBERS_FROM;

/** Whether a seat of this radius is a dot, whatever its status. */
export const isDot = (r) => r < SHAPES_FROM;

/** Colors of the page's theme. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  return {
    categories: Array.from({ length: 6 }, (_, index) => color(`--category-${index}`)),
    onCategory: color('--on-category'),
    gone: color('--seat-gone'),
    faint: color('--seat-faint'),
    chosen: color('--seat-chosen'),
    onChosen: color('--on-chosen'),
    stage: color('--stage'),
    onStage: color('--on-stage'),
    ink: color('--muted'),
    ground: color('--map-ground'),
    accent: color('--accent'),
    text: color('--ink'),
    font: getComputedStyle(document.body).fontFamily,
  };
}

/** What the eye needs to know of a seat. */
export function lookOf(seats, section, number, dimmed) {
  const status = seats.status.get(section.name)?.[number] ?? BLOCKED;
  // A name for each of 50,000 seats only where there is one to be found.
  const seat = seats.chosen.size || seats.own.size ? `${section.name}-${number}` : null;
  const own = seats.own.has(seat);
  const chosen = own || seats.chosen.has(seat);
  const category = section.category[number] % 6;
  return { status: chosen ? 'chosen' : status, category, own, dim: !chosen && dimmed(section, number), wheelchair: section.wheelchair.has(number) };
}

/** One seat at `x, y` with radius `r`, all in CSS pixels. */
export function seat(context, colors, look, x, y, r, text) {
  if (isDot(r)) return dot(context, colors, look, x, y, r);
  context.globalAlpha = look.dim ? 0.28 : 1;
  switch (look.status) {
    case 'chosen':
      chosen(context, colors, x, y, r);
      break;
    case FREE:
      free(context, colors, look, x, y, r, text);
      break;
    case HELD:
      held(context, colors, x, y, r);
      break;
    case SOLD:
      sold(context, colors, x, y, r);
      break;
    default:
      blocked(context, colors, x, y, r);
  }
  context.globalAlpha = 1;
}

function dot(context, colors, look, x, y, r) {
  const { status, category } = look;
  if (look.dim) context.globalAlpha = 0.28;
  context.fillStyle = status === 'chosen' ? colors.chosen : status === FREE ? colors.categories[category] : colors.faint;
  const size = status === FREE || status === 'chosen' ? Math.max(1, r * 1.7) : Math.max(0.6, r * 0.9);
  context.fillRect(x - size / 2, y - size / 2, size, size);
  if (look.dim) context.globalAlpha = 1;
}

function free(context, colors, look, x, y, r, text) {
  context.fillStyle = colors.categories[look.category];
  context.beginPath();
  if (look.wheelchair) context.roundRect(x - r, y - r, 2 * r, 2 * r, r * 0.35);
  else context.arc(x, y, r, 0, 2 * Math.PI);
  context.fill();
  if (isNumbered(r) && text) {
    context.fillStyle = colors.onCategory;
    context.font = `600 ${Math.min(13, r * (text.length > 2 ? 0.75 : 0.95))}px ${colors.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(text, x, y + 0.5);
  } else if (look.wheelchair && r >= 4) {
    wheel(context, colors.onCategory, x, y, r);
  }
}

/** A small wheel with a seat above. */
function wheel(context, color, x, y, r) {
  context.strokeStyle = color;
  context.lineWidth = Math.max(1, r * 0.16);
  context.beginPath();
  context.arc(x, y + r * 0.18, r * 0.42, -0.6, 4.2);
  context.moveTo(x - r * 0.12, y - r * 0.55);
  context.lineTo(x - r * 0.05, y + r * 0.1);
  context.lineTo(x + r * 0.4, y + r * 0.1);
  context.stroke();
}

function held(context, colors, x, y, r) {
  context.strokeStyle = colors.gone;
  context.lineWidth = Math.max(1, r * 0.2);
  context.beginPath();
  context.arc(x, y, r * 0.78, 0, 2 * Math.PI);
  context.stroke();
  context.fillStyle = colors.gone;
  context.beginPath();
  context.arc(x, y, r * 0.28, 0, 2 * Math.PI);
  context.fill();
}

function sold(context, colors, x, y, r) {
  const arm = r * 0.54;
  context.strokeStyle = colors.gone;
  context.lineWidth = Math.max(1, r * 0.2);
  context.beginPath();
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

function blocked(context, colors, x, y, r) {
  context.fillStyle = colors.faint;
  context.beginPath();
  context.arc(x, y, r * 0.3, 0, 2 * Math.PI);
  context.fill();
}

function chosen(context, colors, x, y, r) {
  context.strokeStyle = colors.chosen;
  context.lineWidth = Math.max(1.5, r * 0.18);
  context.beginPath();
  context.arc(x, y, r * 1.22, 0, 2 * Math.PI);
  context.stroke();
  context.fillStyle = colors.chosen;
  context.beginPath();
  context.arc(x, y, r * 0.95, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = colors.onChosen;
  context.lineWidth = Math.max(1.2, r * 0.24);
  context.beginPath();
  context.moveTo(x - r * 0.4, y + r * 0.02);
  context.lineTo(x - r * 0.1, y + r * 0.34);
  context.lineTo(x + r * 0.44, y - r * 0.32);
  context.stroke();
}

/** A stage, a table, a bar. `project` turns the hall's units into pixels. */
export function area(context, colors, { at, shape, rotation, text, stage }, { x, y, scale }) {
  context.save();
  context.translate(x(at[0]), y(at[1]));
  context.rotate((rotation * Math.PI) / 180);
  context.fillStyle = colors.stage;
  context.beginPath();
  if (shape.rectangle) outline(context, shape.rectangle[0] * scale, shape.rectangle[1] * scale, stage || text);
  else if (shape.circle) context.arc(0, 0, shape.circle * scale, 0, 2 * Math.PI);
  else if (shape.ellipse) context.ellipse(0, 0, shape.ellipse[0] * scale, shape.ellipse[1] * scale, 0, 0, 2 * Math.PI);
  else shape.polygon?.forEach(([px, py]) => context.lineTo(px * scale, py * scale));
  context.fill();
  if (text && (text.size ?? 16) * scale > 5) {
    context.fillStyle = shape.rectangle || shape.circle || shape.ellipse || shape.polygon ? colors.onStage : colors.ink;
    context.font = `600 ${Math.max(11, Math.min(22, (text.size ?? 16) * scale * 1.4))}px ${colors.font}`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(text.text, text.at[0] * scale, text.at[1] * scale);
  }
  context.restore();
}

/** A stage's front is bowed towards the seats. */
function outline(context, width, height, bowed) {
  if (!bowed || height < 12) {
    context.roundRect(0, 0, width, height, Math.min(6, height / 4));
    return;
  }
  const bow = Math.min(height * 0.35, 18);
  const corner = Math.min(10, height / 4);
  context.moveTo(corner, 0);
  context.lineTo(width - corner, 0);
  context.quadraticCurveTo(width, 0, width, corner);
  context.lineTo(width, height - bow);
  context.quadraticCurveTo(width / 2, height + bow, 0, height - bow);
  context.lineTo(0, corner);
  context.quadraticCurveTo(0, 0, corner, 0);
}

/** A section from afar: its outline, filled by the share of its seats that are free, and how many they are, if there is room. */
export function share(context, colors, outline, { share: part, text }) {
  context.save();
  context.beginPath();
  for (const [x, y] of outline) context.lineTo(x, y);
  context.closePath();
  // Nothing free is no color at all.
  context.globalAlpha = 0.4 * part;
  context.fillStyle = colors.accent;
  context.fill();
  context.globalAlpha = 1;
  [context.strokeStyle, context.lineWidth] = [colors.ink, 1];
  context.stroke();
  const [xs, ys] = [outline.map(([x]) => x), outline.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const size = Math.max(10, Math.min(14, (bottom - top) / 3));
  context.font = `650 ${size}px ${colors.font}`;
  const wide = context.measureText(text).width + 6;
  if (wide <= right - left && size + 4 <= bottom - top) {
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    context.fillStyle = colors.ground;
    context.beginPath();
    context.roundRect(x - wide / 2, y - size / 2 - 2, wide, size + 4, 4);
    context.fill();
    [context.fillStyle, context.textAlign, context.textBaseline] = [colors.text, 'center', 'middle'];
    context.fillText(text, x, y);
  }
  context.restore();
}

/** A name over a part of the hall, shortened to `most` pixels. */
export function caption(context, colors, text, x, y, size, most = Infinity) {
  context.fillStyle = colors.ink;
  context.font = `600 ${size}px ${colors.font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  let letters = [...text];
  while (letters.length > 3 && context.measureText(letters.join('')).width > most) letters = [...letters.slice(0, -2), '…'];
  context.fillText(letters.join(''), x, y);
}

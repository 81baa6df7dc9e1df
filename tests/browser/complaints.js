// Body of a script; returns what is wrong with the page as it stands.
const found = [];
const say = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 140)}`);
const seen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('[aria-hidden=true]');
const name = (element) => {
  const by = element.getAttribute('aria-labelledby');
  if (by) return by.split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join(' ').trim();
  const own = element.getAttribute('aria-label') ?? [...(element.labels ?? [])].map((label) => label.textContent).join(' ');
  return (own || element.textContent || element.getAttribute('title') || element.getAttribute('alt') || '').trim();
};
for (const element of document.querySelectorAll('button, a[href], input, select, textarea, [role=gridcell], [role=grid], dialog, meter, progress')) {
  if (seen(element) && !name(element)) say('no name', element);
}
const ids = new Map();
for (const element of document.querySelectorAll('[id]')) ids.set(element.id, (ids.get(element.id) ?? 0) + 1);
for (const [id, count] of ids) if (count > 1) found.push(`id ${id} is there ${count} times`);
for (const attribute of ['aria-labelledby', 'aria-describedby', 'for']) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    for (const id of element.getAttribute(attribute).split(' ')) if (!document.getElementById(id)) say(`${attribute} leads nowhere`, element);
  }
}
for (const image of document.querySelectorAll('img')) if (!image.hasAttribute('alt')) say('no alt', image);
if (document.querySelectorAll('main').length !== 1) found.push('not one main');
if (!document.documentElement.lang) found.push('no language');
if (!document.title) found.push('no title');
const headings = [...document.querySelectorAll('h1, h2, h3, h4')].filter(seen).map((heading) => Number(heading.tagName[1]));
if (headings.filter((level) => level === 1).length !== 1) found.push(`headings of the first level: ${headings}`);
headings.reduce((before, level) => {
  if (level > before + 1) found.push(`headings skip a level: ${headings}`);
  return level;
}, 0);
for (const grid of document.querySelectorAll('[role=grid]')) {
  if (grid.querySelectorAll('[tabindex="0"]').length !== 1) say('a grid has one tab stop', grid);
  if ([...grid.children].some((row) => row.getAttribute('role') !== 'row')) say('a grid has rows', grid);
}
for (const element of document.querySelectorAll('[tabindex]')) if (Number(element.getAttribute('tabindex')) > 0) say('tabindex above 0', element);
for (const element of document.querySelectorAll('button, a.button, a.date, select, input:not([type=checkbox])')) {
  const box = element.getBoundingClientRect();
  if (seen(element) && (box.height < 43.5 || box.width < 24) && !element.closest('.unseen')) say(`target of ${box.width}x${box.height}`, element);
}
// Contrast of texts against the nearest ground that is painted.
const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data;
};
const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
const ground = (element) => {
  if (!element) return [255, 255, 255];
  const color = rgba(getComputedStyle(element).backgroundColor);
  if (color[3] > 250) return color;
  const below = ground(element.parentElement);
  const share = color[3] / 255;
  return [0, 1, 2].map((part) => color[part] * share + below[part] * (1 - share));
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = texts.nextNode(); node; node = texts.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || !seen(element) || element.closest('.unseen, :disabled, .cell.blocked, .cell.dim, option, noscript')) continue;
  const [one, other] = [light(rgba(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < 4.45) say(`contrast ${ratio.toFixed(2)}`, element);
}
return found.slice(0, 20);

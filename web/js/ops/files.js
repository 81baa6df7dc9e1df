// Files that the page makes of what it shows.

/** One line of CSV. A text that a table program would read as a formula gets an apostrophe before it. */
export function csvLine(values) {
  return values.map((value) => {
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(',');
}

/** Offers `content`, text or bytes, as a file. */
export function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

export const bytesOf = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

const hex = (byte) => byte.toString(16).padStart(2, '0');

/** Bytes as tools show them: offset, 16 bytes, and what of them is ASCII. */
export function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    const ascii = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${part.map(hex).join(' ').padEnd(47)}  ${ascii}`);
  }
  return lines.join('\n');
}

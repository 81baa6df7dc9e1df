// QR codes (ISO/IEC 18004): bytes at error correction level M, versions 1 to 20. Made here, so that a ticket needs nothing
// but the page.

/** Of level M, by version: bytes of error correction in a block, and blocks. */
const CORRECTION = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];
const VERSION_MAX = 20;

/** Rows of booleans, true is dark; without the quiet zone. Raises a RangeError for more than 666 bytes. */
export function modules(text) {
  const bytes = new TextEncoder().encode(text);
  const version = versionFor(bytes.length);
  const drawing = new Drawing(version);
  drawing.place(interleave(payload(bytes, version), version));
  return drawing.masked();
}

/** A path of the dark modules, in units of a module; `quiet` of them are left free on each side. */
export function path(rows, quiet = 4) {
  let d = '';
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      const from = x;
      while (row[x + 1]) x += 1;
      d += `M${from + quiet} ${y + quiet}h${x + 1 - from}v1h-${x + 1 - from}z`;
    }
  });
  return d;
}

/** Modules that carry data and correction, in bytes. */
function capacity(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const marks = Math.floor(version / 7) + 2;
    modules -= (25 * marks - 10) * marks - 55;
  }
  return (modules - (version >= 7 ? 36 : 0)) >> 3;
}

const dataBytes = (version) => capacity(version) - CORRECTION[version] * BLOCKS[version];
const countBits = (version) => (version < 10 ? 8 : 16);

function versionFor(length) {
  for (let version = 1; version <= VERSION_MAX; version += 1) {
    if (12 + (countBits(version) - 8) + length * 8 <= dataBytes(version) * 8) return version;
  }
  throw new RangeError('too long for a QR code');
}

/** Mode, length, bytes, end, filled up. */
function payload(bytes, version) {
  const bits = [];
  const put = (value, count) => {
    for (let at = count - 1; at >= 0; at -= 1) bits.push((value >> at) & 1);
  };
  put(0b0100, 4);
  put(bytes.length, countBits(version));
  bytes.forEach((byte) => put(byte, 8));
  const room = dataBytes(version) * 8;
  put(0, Math.min(4, room - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let filler = 0xec; bits.length < room; filler ^= 0xec ^ 0x11) put(filler, 8);
  return Uint8Array.from({ length: bits.length / 8 }, (_, at) => parseInt(bits.slice(at * 8, at * 8 + 8).join(''), 2));
}

/** Blocks with their correction, a byte of each in turn. */
function interleave(data, version) {
  const [count, extra] = [BLOCKS[version], CORRECTION[version]];
  const short = Math.floor(data.length / count);
  const longer = data.length % count;
  const divisor = generator(extra);
  let at = 0;
  const blocks = Array.from({ length: count }, (_, index) => {
    const own = data.slice(at, (at += short + (index >= count - longer ? 1 : 0)));
    return { own, correction: remainder(own, divisor) };
  });
  const out = [];
  for (let index = 0; index <= short; index += 1) for (const { own } of blocks) if (index < own.length) out.push(own[index]);
  for (let index = 0; index < extra; index += 1) for (const { correction } of blocks) out.push(correction[index]);
  return out;
}

/** In the field of 256 elements modulo x⁸ + x⁴ + x³ + x² + 1. */
function times(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ ((product >> 7) * 0x11d);
    product ^= ((b >> bit) & 1) * a;
  }
  return product;
}

function generator(degree) {
  const terms = new Array(degree).fill(0);
  terms[degree - 1] = 1;
  let root = 1;
  for (let step = 0; step < degree; step += 1) {
    for (let at = 0; at < degree; at += 1) terms[at] = times(terms[at], root) ^ (terms[at + 1] ?? 0);
    root = times(root, 2);
  }
  return terms;
}

function remainder(data, divisor) {
  const rest = new Array(divisor.length).fill(0);
  for (const byte of data) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    divisor.forEach((term, at) => (rest[at] ^= times(term, factor)));
  }
  return rest;
}

const MASKS = [
  (x, y) => (x + y) % 2, (_, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2, (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

class Drawing {
  constructor(version) {
    this.version = version;
    this.size = version * 4 + 17;
    this.dark = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
    /** Of the pattern, not of the data. */
    this.fixed = Array.from({ length: this.size }, () => new Array(this.size).fill(false));
    this.#patterns();
  }

  #set(x, y, dark) {
    if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
    this.dark[y][x] = Boolean(dark);
    this.fixed[y][x] = true;
  }

  #patterns() {
    const { size } = this;
    for (let at = 0; at < size; at += 1) {
      this.#set(6, at, at % 2 === 0);
      this.#set(at, 6, at % 2 === 0);
    }
    for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) this.#square(cx, cy, 4, [2, 4]);
    const marks = this.#marks();
    const last = marks.length - 1;
    marks.forEach((cx, i) => marks.forEach((cy, j) => {
      const corner = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
      if (!corner) this.#square(cx, cy, 2, [1]);
    }));
    this.#format(0);
    if (this.version >= 7) this.#versionBits();
  }

  /** Rings around a center, all dark but those of these distances. */
  #square(cx, cy, reach, light) {
    for (let dy = -reach; dy <= reach; dy += 1) {
      for (let dx = -reach; dx <= reach; dx += 1) this.#set(cx + dx, cy + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  }

  /** Where alignment marks stand, on both axes. */
  #marks() {
    if (this.version === 1) return [];
    const count = Math.floor(this.version / 7) + 2;
    const step = Math.floor((this.version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
    const rest = Array.from({ length: count - 1 }, (_, index) => this.size - 7 - index * step);
    return [6, ...rest.reverse()];
  }

  #format(mask) {
    // Level M is 0.
    let rest = mask;
    for (let step = 0; step < 10; step += 1) rest = (rest << 1) ^ ((rest >> 9) * 0x537);
    const bits = ((mask << 10) | rest) ^ 0x5412;
    const bit = (at) => (bits >> at) & 1;
    const { size } = this;
    for (let at = 0; at <= 5; at += 1) this.#set(8, at, bit(at));
    this.#set(8, 7, bit(6));
    this.#set(8, 8, bit(7));
    this.#set(7, 8, bit(8));
    for (let at = 9; at < 15; at += 1) this.#set(14 - at, 8, bit(at));
    for (let at = 0; at < 8; at += 1) this.#set(size - 1 - at, 8, bit(at));
    for (let at = 8; at < 15; at += 1) this.#set(8, size - 15 + at, bit(at));
    this.#set(8, size - 8, true);
  }

  #versionBits() {
    let rest = this.version;
    for (let step = 0; step < 12; step += 1) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
    const bits = (this.version << 12) | rest;
    for (let at = 0; at < 18; at += 1) {
      const [long, short] = [this.size - 11 + (at % 3), Math.floor(at / 3)];
      this.#set(long, short, (bits >> at) & 1);
      this.#set(short, long, (bits >> at) & 1);
    }
  }

  /** Data from the lower right, in columns of two, up and down. */
  place(bytes) {
    let bit = 0;
    for (let right = this.size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this.size; step += 1) {
        const up = ((right + 1) & 2) === 0;
        const y = up ? this.size - 1 - step : step;
        for (const x of [right, right - 1]) {
          if (this.fixed[y][x] || bit >= bytes.length * 8) continue;
          this.dark[y][x] = Boolean((bytes[bit >> 3] >> (7 - (bit & 7))) & 1);
          bit += 1;
        }
      }
    }
  }

  /** Under the mask that is easiest to read. */
  masked() {
    /** @type {any} */
    let best = null;
    MASKS.forEach((flips, mask) => {
      this.#format(mask);
      const rows = this.dark.map((row, y) => row.map((dark, x) => dark !== (!this.fixed[y][x] && flips(x, y) === 0)));
      const worth = penalty(rows);
      if (!best || worth < best.worth) best = { worth, rows };
    });
    return best.rows;
  }
}

/** Runs of one color, squares of one color, what looks like a finder, and an uneven share of dark. */
function penalty(rows) {
  const columns = rows[0].map((_, x) => rows.map((row) => row[x]));
  let sum = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.map(Number).join('');
    for (const run of text.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
    for (const finder of ['10111010000', '00001011101']) {
      for (let at = text.indexOf(finder); at >= 0; at = text.indexOf(finder, at + 1)) sum += 40;
    }
  }
  for (let y = 1; y < rows.length; y += 1) {
    for (let x = 1; x < rows.length; x += 1) {
      if (rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x - 1]) sum += 3;
    }
  }
  const dark = rows.flat().filter(Boolean).length / rows.length ** 2;
  return sum + Math.floor(Math.abs(dark * 20 - 10)) * 10;
}

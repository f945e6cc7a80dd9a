// Paths as the server has them: bytes, separated by `/`. A path is `{ text, hex }`, with `hex` only if it is no UTF-8.

const BYTES = new TextEncoder();

export function bytesOf(path) {
  if (path.hex) return Uint8Array.from(path.hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return BYTES.encode(path.text);
}

export function fromBytes(bytes) {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes), hex: undefined };
  } catch {
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return { text: new TextDecoder().decode(bytes), hex };
  }
}

/** Each step from the root to `path`: its own name, and the path to it. */
export function steps(path) {
  const bytes = bytesOf(path);
  const all = [];
  let start = 0;
  for (let at = 0; at <= bytes.length; at += 1) {
    if (at < bytes.length && bytes[at] !== 0x2f) continue;
    if (at > start) all.push({ name: fromBytes(bytes.slice(start, at)), path: fromBytes(bytes.slice(0, at)) });
    start = at + 1;
  }
  return all;
}

export const ROOT = { text: "", hex: undefined };

export const lastName = (path) => steps(path).at(-1)?.name ?? ROOT;
export const parentOf = (path) => steps(path).at(-2)?.path ?? ROOT;
export const isRoot = (path) => !path.text && !path.hex;

export function join(directory, name) {
  if (isRoot(directory)) return fromBytes(BYTES.encode(name));
  return fromBytes(new Uint8Array([...bytesOf(directory), 0x2f, ...BYTES.encode(name)]));
}

/** Percent-encoded, byte for byte. */
export function encode(path) {
  return path.hex ? path.hex.replace(/../g, "%$&") : encodeURIComponent(path.text);
}

/** The reverse; what is no percent-encoding stands for itself. */
export function decode(text) {
  const bytes = [];
  for (let at = 0; at < text.length; ) {
    const pair = /^%([0-9a-fA-F]{2})/.exec(text.slice(at, at + 3));
    if (pair) {
      bytes.push(parseInt(pair[1], 16));
      at += 3;
    } else {
      const character = String.fromCodePoint(text.codePointAt(at));
      bytes.push(...BYTES.encode(character));
      at += character.length;
    }
  }
  return fromBytes(new Uint8Array(bytes));
}

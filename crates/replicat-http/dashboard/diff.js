// What differs between two texts, line by line: the shortest script of additions and removals (E. W. Myers, An O(ND) Difference
// Algorithm and Its Variations, 1986), as far as that can be had in a moment.

/** Texts that differ more than this are shown beside each other as they are. */
const DISTANCE_MAX = 1500;
const CONTEXT = 3;

/** Rows `{ kind, left, right, leftAt, rightAt }`: `same`, `changed`, `taken` (left only), `added` (right only), or `skipped` with `count`. */
export function compare(before, after) {
  const [left, right] = [linesOf(before), linesOf(after)];
  const script = scriptOf(left, right) ?? [...left.map(() => "-"), ...right.map(() => "+")];
  return folded(paired(script, left, right));
}

const linesOf = (text) => {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
};

function scriptOf(left, right) {
  const most = Math.min(DISTANCE_MAX, left.length + right.length);
  let furthest = new Map([[1, 0]]);
  const trace = [];
  for (let distance = 0; distance <= most; distance += 1) {
    const reached = new Map(furthest);
    for (let k = -distance; k <= distance; k += 2) {
      let x = isDown(furthest, k, distance) ? furthest.get(k + 1) : furthest.get(k - 1) + 1;
      while (x < left.length && x - k < right.length && left[x] === right[x - k]) x += 1;
      furthest.set(k, x);
      if (x >= left.length && x - k >= right.length) return walkBack([...trace, reached], left.length, right.length);
    }
    trace.push(reached);
    furthest = new Map(furthest);
    if (trace.length * furthest.size > 4_000_000) return null;
  }
  return null;
}

const at = (map, k) => map.get(k) ?? -1;
const isDown = (furthest, k, distance) => k === -distance || (k !== distance && at(furthest, k - 1) < at(furthest, k + 1));

function walkBack(trace, leftEnd, rightEnd) {
  const script = [];
  let [x, y] = [leftEnd, rightEnd];
  for (let distance = trace.length - 1; distance >= 0; distance -= 1) {
    const furthest = trace[distance];
    const k = x - y;
    const down = isDown(furthest, k, distance);
    const fromX = distance === 0 ? 0 : at(furthest, down ? k + 1 : k - 1);
    const fromY = distance === 0 ? 0 : fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY && (distance === 0 || x - (down ? 0 : 1) > fromX || y - (down ? 1 : 0) > fromY)) {
      script.push("=");
      x -= 1;
      y -= 1;
    }
    if (distance > 0) script.push(down ? "+" : "-");
    [x, y] = [fromX, fromY];
  }
  return script.reverse();
}

// Removals and the additions that follow stand in one row, as far as they go.
function paired(script, left, right) {
  const rows = [];
  let [x, y] = [0, 0];
  let [taken, added] = [[], []];
  const flush = () => {
    for (let row = 0; row < Math.max(taken.length, added.length); row += 1) {
      rows.push({ kind: row >= added.length ? "taken" : row >= taken.length ? "added" : "changed", left: taken[row]?.[0], leftAt: taken[row]?.[1], right: added[row]?.[0], rightAt: added[row]?.[1] });
    }
    [taken, added] = [[], []];
  };
  for (const step of script) {
    if (step === "=") {
      flush();
      rows.push({ kind: "same", left: left[x], right: right[y], leftAt: (x += 1), rightAt: (y += 1) });
    } else if (step === "-") taken.push([left[x], (x += 1)]);
    else added.push([right[y], (y += 1)]);
  }
  flush();
  return rows;
}

// Long stretches that are the same are told of, not shown.
function folded(rows) {
  const keep = rows.map(() => false);
  rows.forEach((row, index) => {
    if (row.kind === "same") return;
    for (let near = Math.max(0, index - CONTEXT); near <= Math.min(rows.length - 1, index + CONTEXT); near += 1) keep[near] = true;
  });
  const shown = [];
  rows.forEach((row, index) => {
    if (keep[index]) shown.push(row);
    else if (shown.at(-1)?.kind === "skipped") shown.at(-1).count += 1;
    else shown.push({ kind: "skipped", count: 1 });
  });
  return shown;
}

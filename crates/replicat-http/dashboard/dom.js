// What a view shows is described with `h` and put in place with `patch`, which changes only what differs: the page is drawn
// anew with every event, and whoever types, reads aloud or has tabbed to a button must not lose their place.
//
// Text becomes text nodes and nothing else. There is no way to have markup parsed here, since file names are hostile.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `attrs` take attributes, `on*` handlers, `key` and, for inputs, `value` and `checked`. */
export function h(tag, attrs, ...children) {
  const [name, ...classes] = tag.split(".");
  const all = { ...attrs };
  const extra = classes.join(" ");
  if (extra) all.class = all.class ? `${extra} ${all.class}` : extra;
  return { tag: name || "div", attrs: all, key: all.key, children: flat(children, []) };
}

function flat(children, into) {
  for (const child of children) {
    if (Array.isArray(child)) flat(child, into);
    else if (child === null || child === undefined || child === false || child === true) continue;
    else if (typeof child === "object") into.push(child);
    else into.push(String(child));
  }
  return into;
}

/** Makes the children of `parent` what `children` says. */
export function patch(parent, children) {
  const wanted = flat([children], []);
  const keyed = new Map();
  for (const node of parent.childNodes) {
    if (node.vnode?.key !== undefined) keyed.set(node.vnode.key, node);
  }
  // What is not wanted any more goes first: then what stays need not be moved, and whatever is moved loses the focus.
  const keys = new Set(wanted.map((vnode) => vnode.key));
  for (const [key, node] of keyed) {
    if (keys.has(key)) continue;
    node.remove();
    keyed.delete(key);
  }
  let here = parent.firstChild;
  for (const vnode of wanted) {
    let node = match(vnode, here, keyed);
    if (node) {
      if (node !== here) parent.insertBefore(node, here);
      else here = here.nextSibling;
      update(node, vnode);
    } else {
      node = create(vnode, parent.namespaceURI === SVG);
      parent.insertBefore(node, here);
    }
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

// A node is used again for the same key, or for the same kind at the same place.
function match(vnode, here, keyed) {
  if (typeof vnode === "string") return here?.nodeType === Node.TEXT_NODE ? here : null;
  if (vnode.key !== undefined) {
    const node = keyed.get(vnode.key);
    return node && node.vnode.tag === vnode.tag ? node : null;
  }
  return here?.vnode?.tag === vnode.tag && here.vnode.key === undefined ? here : null;
}

/** A node of the document for what `h` described. */
export function create(vnode, inSvg = false) {
  if (typeof vnode === "string") return document.createTextNode(vnode);
  const svg = inSvg || vnode.tag === "svg";
  const node = svg ? document.createElementNS(SVG, vnode.tag) : document.createElement(vnode.tag);
  node.vnode = { tag: vnode.tag, attrs: {}, key: vnode.key };
  update(node, vnode);
  return node;
}

function update(node, vnode) {
  if (typeof vnode === "string") {
    if (node.data !== vnode) node.data = vnode;
    return;
  }
  const before = node.vnode.attrs;
  // The children go first: a select takes its value from its options.
  patch(node, vnode.children);
  for (const name of Object.keys(before)) {
    if (!(name in vnode.attrs)) set(node, name, undefined);
  }
  for (const [name, value] of Object.entries(vnode.attrs)) {
    if (before[name] !== value) set(node, name, value);
  }
  node.vnode = vnode;
}

function set(node, name, value) {
  if (name === "key") return;
  if (name.startsWith("on")) node[name.toLowerCase()] = value ?? null;
  else if (name === "value" && "value" in node && node.localName !== "progress") node.value = value ?? "";
  else if (name === "checked") node.checked = Boolean(value);
  else if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else if (name === "href" && !isSafe(String(value))) throw new Error("a link may lead to a place of this page only");
  else node.setAttribute(name, value === true ? "" : String(value));
}

// The last line of defence against a `javascript:` link: links here lead to hash routes.
function isSafe(href) {
  return href.startsWith("#");
}

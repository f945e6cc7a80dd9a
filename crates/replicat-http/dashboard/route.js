// Where in the dashboard somebody is: the part of the address behind `#`, which no server sees.

import { ROOT, decode, encode } from "./path.js";

/** `#/folder/site?path=a%2Fb&after=x` as `{ view, folder, path, after }`. */
export function parse(hash) {
  const [where, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, folder] = where.split("/");
  const route = { view: view || "cluster", folder: folder === undefined ? null : decode(folder).text, path: ROOT, after: null, select: null };
  for (const pair of query.split("&")) {
    const [key, value = ""] = pair.split("=");
    if (key === "path") route.path = decode(value);
    else if (key === "after" || key === "select") route[key] = decode(value).text || null;
  }
  return route;
}

const query = (pairs) => {
  const given = pairs.filter(([, value]) => value);
  return given.length ? `?${given.map(([key, value]) => `${key}=${value}`).join("&")}` : "";
};

export const to = {
  view: (view) => `#/${view}`,
  folder: (folder, path = ROOT, after = null) => `#/folder/${encodeURIComponent(folder)}${query([["path", encode(path)], ["after", after && encodeURIComponent(after)]])}`,
  file: (folder, path) => `#/file/${encodeURIComponent(folder)}?path=${encode(path)}`,
  conflicts: (folder, after) => `#/conflicts/${encodeURIComponent(folder)}${query([["after", after && encodeURIComponent(after)]])}`,
  node: (name) => `#/cluster${query([["select", name && encodeURIComponent(name)]])}`,
};

/** Whether two routes are pages of one list. */
export const isSameList = (one, other) => one.view === other.view && one.folder === other.folder && encode(one.path) === encode(other.path);

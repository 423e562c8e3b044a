/** The path of an origin-form target, without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/**
 * The path as a backend will read it: characters that need no escape stand for themselves (RFC 3986, 6.2.2.2). Routes go by this, or
 * a client could leave the split by writing `/api/m%61tch`.
 */
export function plainPathOf(target: string): string {
  const path = pathOf(target);
  if (!path.includes("%")) return path;
  return path.replace(/%(?:2[de]|3\d|[46][1-9a-f]|5[\daf]|7[\dae])/gi, (escape) =>
    String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
  );
}

/** The query with its `?`, or nothing. */
export function queryOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? "" : target.slice(query);
}

/**
 * Every value of a query parameter, decoded as forms are. A value with a bad escape is taken as it stands: it still
 * identifies one user, and always the same.
 */
export function queryValues(target: string, name: string): readonly string[] {
  const start = target.indexOf("?");
  if (start < 0) return [];
  const values: string[] = [];
  for (const pair of target.slice(start + 1).split("&")) {
    const equals = pair.indexOf("=");
    const key = equals < 0 ? pair : pair.slice(0, equals);
    if (key === name || decode(key) === name) values.push(equals < 0 ? "" : decode(pair.slice(equals + 1)));
  }
  return values;
}

function decode(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

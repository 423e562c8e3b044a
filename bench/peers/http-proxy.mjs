import { Agent, createServer } from "node:http";
import httpProxy from "http-proxy";
import { originOf, port } from "./arguments.mjs";

const proxy = httpProxy.createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 256 }), xfwd: true });
proxy.on("error", (error, request, response) => response.writeHead(502).end());
createServer((request, response) => proxy.web(request, response, { target: originOf(request.headers["x-user-id"] ?? "") })).listen(
  port,
  "127.0.0.1",
);

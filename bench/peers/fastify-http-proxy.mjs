import httpProxy from "@fastify/http-proxy";
import fastify from "fastify";
import { originOf, port } from "./arguments.mjs";

const server = fastify();
server.register(httpProxy, {
  // Empty, so that each request may have its own.
  upstream: "",
  undici: { connections: 256, pipelining: 1 },
  replyOptions: { getUpstream: (request) => originOf(request.headers["x-user-id"] ?? "") },
});
await server.listen({ port, host: "127.0.0.1" });

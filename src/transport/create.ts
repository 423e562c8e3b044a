import { createNodeTransport } from "./node/engine.ts";
import type { CreateTransport } from "./transport.ts";
import { createWireTransport } from "./wire/engine.ts";

/** The engine that the configuration asks for. */
export const createTransport: CreateTransport = (config, board) =>
  config.transport === "wire" ? createWireTransport(config, board) : createNodeTransport(config, board);

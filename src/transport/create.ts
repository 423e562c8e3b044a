import type { CreateTransport } from "./transport.ts";
import { createNodeTransport } from "./node/engine.ts";

/** The engine that the configuration asks for. */
export const createTransport: CreateTransport = (config) => createNodeTransport(config);

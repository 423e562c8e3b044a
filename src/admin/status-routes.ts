import { STATUS_PATHS, type StatusPath } from "../status-page/site.ts";
import type { Call, FileAnswer } from "./call.ts";
import type { AdminRoute } from "./route.ts";

const ABOUT: Readonly<Record<StatusPath, string>> = {
  "/status": "the status page: what a customer may know; ?lang=en or fr",
  "/status.json": "the same for machines",
  "/status.rss": "incidents and maintenance as a feed",
  "/status.css": "the style of the status page",
};

/** What customers may see anyway is told to anybody. */
export const STATUS_ROUTES: readonly AdminRoute[] = STATUS_PATHS.map((path) => ({
  method: "GET",
  path,
  open: true,
  about: ABOUT[path],
  handle: (call) => show(call, path),
}));

async function show({ operations, query, headers }: Call, path: StatusPath): Promise<FileAnswer> {
  const page = await operations.statusPage.answer({ path, query, acceptLanguage: headers["accept-language"], host: headers.host });
  return { status: 200, ...page };
}

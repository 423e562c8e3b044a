import { render } from "preact";
import { App } from "./app.tsx";
import { startFeed } from "./live/feed.ts";

const root = document.getElementById("app");
if (root === null) throw new Error("the page has no #app");
render(<App />, root);
startFeed();

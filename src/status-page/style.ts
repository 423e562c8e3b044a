/** The style sheet of the status page. Colours keep a contrast of 4.5 to 1 and more in both schemes; no state is told by colour alone. */
export const STYLE = `:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #ffffff; --text: #1b2330; --soft: #4d5868; --line: #d5dae2; --link: #0b57b0;
  --well: #14653a; --fair: #7d4e00; --plan: #1f5293; --bad: #a3201f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #12161d; --card: #1b212b; --text: #e8ecf2; --soft: #aab4c3; --line: #343d4c; --link: #8fbcff;
    --well: #6fd79b; --fair: #f0bd62; --plan: #8fbcff; --bad: #ff9a94;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem 1rem 3rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
nav ul { display: flex; gap: .25rem 1rem; list-style: none; margin: 0; padding: 0; }
nav a { display: inline-block; padding: .25rem 0; }
nav [aria-current] { color: var(--text); font-weight: 600; text-decoration: none; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; }
.card + .card { margin-top: .75rem; }
.now { margin-top: 1.25rem; border-left-width: .5rem; }
.now p { margin: .25rem 0 0; }
.now .word { font-size: 1.35rem; font-weight: 700; margin: 0; }
.operational { border-left-color: var(--well); } .operational .word { color: var(--well); }
.degraded { border-left-color: var(--fair); } .degraded .word { color: var(--fair); }
.maintenance { border-left-color: var(--plan); } .maintenance .word { color: var(--plan); }
.incident { border-left-color: var(--bad); } .incident .word { color: var(--bad); }
dl { margin: 0; display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: .35rem 1.25rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.tags { margin: .15rem 0 0; color: var(--soft); }
ol { list-style: none; margin: .75rem 0 0; padding: 0; }
ol li { border-left: 2px solid var(--line); padding: 0 0 .75rem .9rem; }
ol li:last-child { padding-bottom: 0; }
ol p, .card > p { margin: .15rem 0 0; white-space: pre-line; }
time { color: var(--soft); }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .9rem; }
footer p { margin: .25rem 0; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } .card { padding: .85rem 1rem; } }
@media print { body { background: none; } nav, footer a { display: none; } }
`;

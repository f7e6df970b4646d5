// The report's only style sheet: light and dark, narrow and wide, screen and paper. No font, image or script from anywhere.

export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #1d2327; --soft: #5c666d; --line: #e3e0da; --faint: #f1efea;
  --keeps: #2f7f86; --drops: #d2703f; --accent: #1f6a71; --warn: #8a4b00; --warn-back: #fff3e0;
  --mono: ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181b; --card: #1b2024; --ink: #e4e7e8; --soft: #9aa5ab; --line: #2e353a; --faint: #232a2f;
    --keeps: #4fa9b0; --drops: #e08a5b; --accent: #74c3ca; --warn: #ffc37a; --warn-back: #33261a;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; font-variant-numeric: tabular-nums; }
a { color: var(--accent); text-underline-offset: 2px; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
.layout { max-width: 1240px; margin: 0 auto; padding: 1.25rem 1rem 4rem; }
header h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
header p { margin: 0; color: var(--soft); max-width: 68ch; overflow-wrap: anywhere; }
.kicker { font-size: .78rem; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); margin: 0 0 .35rem; }
nav ul { list-style: none; margin: 0 0 1.6rem; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .92rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
.notice { background: var(--warn-back); color: var(--warn); border-radius: 8px; padding: .75rem 1rem; margin: 1.25rem 0 0; }
.notice ul { margin: .3rem 0 0; padding-left: 1.2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.5rem 0 0; padding: 0; }
.numbers div { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem; display: flex; flex-direction: column; }
.numbers dt { color: var(--soft); font-size: .82rem; }
.numbers dd { margin: 0; font-size: 1.55rem; line-height: 1.3; font-weight: 600; letter-spacing: -.01em; }
.numbers dd small { display: block; font-size: .8rem; line-height: 1.4; font-weight: 400; color: var(--soft); letter-spacing: 0; }
section { margin: 3rem 0 0; }
h2 { font-size: 1.3rem; margin: 0 0 .25rem; letter-spacing: -.005em; }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; }
.lead { color: var(--soft); margin: 0 0 1rem; max-width: 68ch; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.soft { color: var(--soft); }
.legend { display: inline-block; width: .75em; height: .75em; border-radius: 2px; vertical-align: baseline; margin: 0 .3em 0 0; }
.legend.keeps { background: var(--keeps); }
.legend.drops { background: var(--drops); }
code, .mono { font-family: var(--mono); font-size: .88em; overflow-wrap: anywhere; }

/* The funnel: a row a stage, each opens to its reasons. */
.funnel { padding: .35rem 0; }
.funnel .row { display: grid; grid-template-columns: minmax(9rem, 1.3fr) minmax(8rem, 3fr) repeat(3, 5.2rem) 4.6rem 5.4rem; gap: 0 .9rem; align-items: center; padding: .38rem 1rem; }
.funnel .head { color: var(--soft); font-size: .8rem; border-bottom: 1px solid var(--line); }
.funnel .row > :nth-child(n+3) { text-align: right; }
.funnel details > summary:hover { background: var(--faint); }
.funnel .name::before { content: ''; display: inline-block; width: 1.1em; }
.funnel summary .name::before { content: '▸'; color: var(--soft); }
.funnel details[open] > summary .name::before { content: '▾'; }
.funnel .name { font-weight: 500; overflow-wrap: anywhere; }
.bar { display: flex; height: 1.05rem; border-radius: 3px; background: var(--faint); overflow: hidden; }
.bar i { display: block; }
.bar .keeps { background: var(--keeps); }
.bar .drops { background: var(--drops); }
.phase-cut { border-top: 1px dashed var(--line); margin: .35rem 1rem; }
.reasons { margin: 0; padding: .1rem 1rem .7rem 2.1rem; list-style: none; font-size: .92rem; }
.reasons li { display: grid; grid-template-columns: minmax(10rem, 18rem) 5rem 4.2rem 1fr; gap: 0 .8rem; align-items: center; }
.reasons li > :nth-child(2), .reasons li > :nth-child(3) { text-align: right; }
.reasons .bar { height: .5rem; background: none; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .8rem; white-space: nowrap; }
th, td { padding: .38rem .9rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.right { text-align: right; white-space: nowrap; }
td:first-child { min-width: 8rem; }
td.wide { min-width: 8rem; vertical-align: middle; }
td .bar { height: .75rem; }

.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .9rem; }
figure { margin: 0; padding: .8rem 1rem .7rem; min-width: 0; }
figcaption { display: flex; justify-content: space-between; gap: .25rem 1rem; flex-wrap: wrap; font-size: .88rem; margin-bottom: .5rem; }
figcaption b { font-weight: 600; overflow-wrap: anywhere; }
figure p { margin: .3rem 0 0; font-size: .8rem; color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
svg .keeps { fill: var(--keeps); }
svg .drops { fill: var(--drops); }
svg .axis { stroke: var(--line); }
svg .threshold { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 2; }
svg text { font: 11px system-ui, 'DejaVu Sans', sans-serif; fill: var(--soft); }
svg .break { stroke: var(--card); stroke-width: 2.2; }
svg .limit { fill: var(--ink); font-weight: 600; }
details.more { margin: .9rem 0 0; }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
details.more > summary { color: var(--soft); font-size: .92rem; }
details.more > summary::before { content: '▸ '; }
details.more[open] > summary::before { content: '▾ '; }
details.more[open] > summary { margin-bottom: .9rem; }
.plain { columns: 20rem; column-gap: 2rem; font-size: .88rem; margin: .9rem 0 0; padding: 0; list-style: none; }
.plain li { break-inside: avoid; overflow-wrap: anywhere; }

details.samples, details.facts { margin: 0 0 .5rem; }
details.samples > summary, details.facts > summary { padding: .55rem 1rem; display: grid; grid-template-columns: .8em 1fr auto; gap: 0 .8rem; align-items: baseline; }
details.samples summary code { margin-left: .5em; }
details.samples > summary::before, details.facts > summary::before { content: '▸'; color: var(--soft); }
details[open].samples > summary::before, details[open].facts > summary::before { content: '▾'; }
details.samples > summary .soft, details.facts > summary .soft { font-size: .92rem; }
article { border-top: 1px solid var(--line); padding: .8rem 1rem; }
article .where { margin: 0 0 .4rem; font-size: .85rem; color: var(--soft); overflow-wrap: anywhere; }
article pre { margin: .4rem 0 0; padding: .7rem .9rem; background: var(--faint); border-radius: 6px; max-height: 22rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; font: .84rem/1.5 var(--mono); }
.measured { display: flex; flex-wrap: wrap; gap: .25rem .9rem; margin: 0; padding: 0; list-style: none; font-size: .82rem; color: var(--soft); }
.measured .drops { color: var(--drops); font-weight: 600; }
.pairs { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1.2rem; margin: 0; padding: .8rem 1rem; font-size: .92rem; }
.pairs dt { color: var(--soft); }
.pairs dd { margin: 0; overflow-wrap: anywhere; }
footer { margin: 4rem 0 0; color: var(--soft); font-size: .85rem; }

@media (min-width: 1180px) {
  body { font-size: 15.5px; }
  .layout { display: grid; grid-template-columns: 10.5rem minmax(0, 1fr); gap: 0 2.5rem; max-width: 1360px; padding-top: 2.5rem; }
  .layout > nav { position: sticky; top: 2.5rem; align-self: start; }
  nav ul { flex-direction: column; margin: .4rem 0 0; gap: .45rem; }
}
@media (max-width: 760px) {
  section { margin-top: 2.4rem; }
  header h1 { font-size: 1.5rem; }
  .numbers { grid-template-columns: repeat(2, 1fr); gap: .5rem; }
  .numbers dd { font-size: 1.25rem; }
  .funnel .head { display: none; }
  .funnel .row { grid-template-columns: 1fr auto 4.4rem; gap: .15rem .8rem; padding: .5rem .8rem; }
  .funnel .row > .bar { grid-row: 2; grid-column: 1 / -1; height: .7rem; }
  .funnel .row > .narrow-off { display: none; }
  .reasons { padding-left: 1rem; }
  .reasons li { grid-template-columns: 1fr 4.2rem 3.6rem; }
  .reasons .bar { display: none; }
  .pairs { grid-template-columns: 1fr; gap: 0; }
  .pairs dd { margin-bottom: .5rem; }
  th, td { padding: .35rem .7rem; }
  th.wide, td:first-child { min-width: 8rem; }
td.wide { display: none; }
}
@media print {
  :root { color-scheme: light; --accent: #1f6a71; --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc; --faint: #f4f4f4; --keeps: #2f7f86; --drops: #d2703f; }
  body { font-size: 10.5pt; }
  .layout { display: block; max-width: none; padding: 0; }
  nav, .skip { display: none; }
  figure, article, .row, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  article pre { max-height: none; }
  .bar, .bar i, rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`

# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of the page: one column of text, headings beside it where there is room; light, dark, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --sheet: #ffffff; --ink: #20262b; --soft: #5c666e; --rule: #e4e1da; --rail: #eeebe4;
  --ok: #2c6e56; --failed: #a63a2b; --unknown: #8a6414; --ok-wash: #e6f1ec; --failed-wash: #faeae7; --unknown-wash: #f8f0de;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, Charter, "Source Serif 4", Georgia, "Noto Serif", "DejaVu Serif", serif;
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Noto Sans Mono", "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15191c; --sheet: #1c2226; --ink: #e6e4de; --soft: #9aa4ab; --rule: #2d353a; --rail: #262e33;
    --ok: #7cc4a4; --failed: #ee9484; --unknown: #dcb463; --ok-wash: #1d322a; --failed-wash: #3a2320; --unknown-wash: #352c19;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 var(--sans); }
main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
h1, h2, h3, p, dl, dd, ol, ul, figure, pre { margin: 0; padding: 0; }
ol, ul { list-style: none; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .18em; }
a:hover { text-decoration-color: currentColor; }
code, pre { font-family: var(--mono); font-size: .86em; }
code, td, th, li, dd, p, h1, figcaption { overflow-wrap: anywhere; }

header { padding: clamp(2.5rem, 8vw, 5rem) 0 clamp(1.75rem, 4vw, 2.75rem); }
.kind { color: var(--soft); font-size: .95rem; }
.kind b { font-weight: 600; color: var(--ink); }
h1 { margin: .7rem 0 .9rem; max-width: 20em; font: 500 clamp(1.9rem, 5.2vw, 3.1rem)/1.14 var(--serif); letter-spacing: -.012em; text-wrap: balance; }
.verdict { display: inline-flex; align-items: center; gap: .5em; padding: .28em .85em .28em .6em; border-radius: 2em; font-size: .92rem;
  font-weight: 600; }
.verdict.ok { background: var(--ok-wash); color: var(--ok); }
.verdict.failed { background: var(--failed-wash); color: var(--failed); }
.when { margin-left: .8em; color: var(--soft); font-size: .92rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1px; margin-top: 2.4rem;
  background: var(--rule); border: 1px solid var(--rule); border-radius: .6rem; overflow: hidden; }
.figures div { display: flex; flex-direction: column-reverse; justify-content: flex-end; padding: 1rem 1.15rem 1.1rem; background: var(--sheet); }
.figures dd { font: 500 1.6rem/1.25 var(--serif); font-variant-numeric: tabular-nums; }
.figures dt { color: var(--soft); font-size: .86rem; line-height: 1.35; }

section { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem 2.5rem; padding: 1.9rem 0 2.1rem; border-top: 1px solid var(--rule); }
h2 { font: 500 1.28rem/1.3 var(--serif); }
h2 + p, .aside p { margin-top: .35rem; color: var(--soft); font-size: .88rem; line-height: 1.5; }
section > div { min-width: 0; }
section > div > * + * { margin-top: 1.2rem; }
h3 { font-size: .92rem; font-weight: 600; }
h3 + * { margin-top: .5rem; }
@media (min-width: 56rem) { section { grid-template-columns: 13rem minmax(0, 1fr); } }

.mark { flex: none; width: 1.15em; height: 1.15em; vertical-align: -.2em; fill: none; stroke: currentColor; stroke-width: 2;
  stroke-linecap: round; stroke-linejoin: round; }
.mark.ok { color: var(--ok); } .mark.failed { color: var(--failed); } .mark.unknown { color: var(--unknown); } .mark.skipped { color: var(--soft); }

.marked li { display: grid; grid-template-columns: 1.15rem minmax(0, 1fr); gap: .05rem .75rem; padding: .6rem 0; border-top: 1px solid var(--rule); }
.marked li:first-child { border-top: 0; padding-top: 0; }
.marked li > .mark { margin-top: .2rem; }
.marked .line { display: flex; justify-content: space-between; gap: 1rem; }
.steps li, .steps li:first-child { padding: .42rem 0; border-top: 0; }
.marked .skipped { color: var(--soft); }
.line > :first-child { min-width: 0; }
.time { color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.detail, .remedy { font-size: .9rem; color: var(--soft); white-space: pre-line; }
.remedy { margin-top: .15rem; color: var(--ink); }
.well { line-height: 2.1; }
.well span { display: inline-block; margin-right: .45rem; padding: 0 .7em; border-radius: 2em; background: var(--ok-wash);
  color: var(--ok); font-size: .86rem; line-height: 1.75; white-space: nowrap; }

.problems li { padding: 1rem 1.15rem; border-left: 3px solid var(--unknown); border-radius: 0 .45rem .45rem 0; background: var(--unknown-wash); }
.failed .problems li { border-color: var(--failed); background: var(--failed-wash); }
.problems li + li { margin-top: .7rem; }
.problems p { white-space: pre-line; }
.problems p + p { margin-top: .4rem; }
.notes li { padding: .25rem 0; }

table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: .95rem; }
caption { padding-bottom: .35rem; text-align: left; font-size: .92rem; font-weight: 600; }
th, td { padding: .5rem .9rem .5rem 0; border-top: 1px solid var(--rule); text-align: left; vertical-align: baseline; font-weight: 400; }
thead th, thead td { border-top: 0; padding-top: 0; padding-bottom: .3rem; color: var(--soft); font-size: .86rem; }
thead + tbody tr:first-child > * { border-top-color: var(--soft); }
tr > :last-child { padding-right: 0; }
thead .number { color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal; }
.shares .name { width: 26%; }
.shares .drawn { width: 44%; }
.counts .name { width: 50%; }
.found .number { width: 30%; }
.before { color: var(--soft); }

.bar-of { display: block; width: 100%; height: .5rem; border-radius: .25rem; }
.rail { fill: var(--rail); }
.steps .rail { opacity: .6; }
.bar { fill: var(--ok); }
.marked .bar-of { height: .25rem; margin-top: .4rem; }
.marked .failed .bar { fill: var(--failed); }

.throughput { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .35rem .75rem; }
.plot { height: 11rem; }
.plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.grid { stroke: var(--rule); stroke-width: 1; vector-effect: non-scaling-stroke; }
.area { fill: var(--ok); opacity: .14; }
.line { fill: none; stroke: var(--ok); stroke-width: 2; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.x, .y { display: flex; justify-content: space-between; color: var(--soft); font-size: .82rem; line-height: 1;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
.y { flex-direction: column; text-align: right; margin: -.4rem 0; }
.x { grid-column: 2; }
.throughput figcaption { grid-column: 1 / -1; margin-top: .3rem; color: var(--soft); font-size: .9rem; }

.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.25rem, 1fr)); gap: 1.1rem 1rem; }
.sheet a { display: block; text-decoration: none; }
.sheet img { display: block; width: 100%; height: auto; aspect-ratio: 4 / 5; padding: .5rem; object-fit: contain;
  border: 1px solid var(--rule); border-radius: .45rem; background: var(--sheet); font-size: .75rem; color: var(--soft); }
.sheet figcaption { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; margin-top: .4rem;
  color: var(--soft); font-size: .75rem; line-height: 1.35; }
.links li { padding: .15rem 0; font-size: .9rem; }

dl.settings { display: grid; grid-template-columns: minmax(0, 1fr); font-family: var(--mono); font-size: .84rem; line-height: 1.5; }
dl.settings div { padding: .4rem 0; border-top: 1px solid var(--rule); }
dl.settings div:first-child { border-top: 0; padding-top: 0; }
dl.settings dt { color: var(--soft); overflow-wrap: anywhere; }
@media (min-width: 40rem) { dl.settings div { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 6fr); gap: 1rem; } }
.commands li + li { margin-top: 1rem; }
.commands pre { margin-top: .35rem; padding: .75rem 1rem; border: 1px solid var(--rule); border-radius: .45rem; background: var(--sheet);
  white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; -webkit-user-select: all; }

footer { padding-bottom: 3rem; color: var(--soft); font-size: .86rem; }
footer p { padding-top: 1.4rem; border-top: 1px solid var(--rule); }

@media (max-width: 34rem) {
  .figures { grid-template-columns: 1fr 1fr; }
  .figures div { padding: .8rem .9rem .9rem; }
  .figures dd { font-size: 1.3rem; }
  .figures div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .when { display: block; margin: .7rem 0 0; }
  table { font-size: .9rem; }
  th, td { padding-right: .6rem; }
  .shares .name { width: 31%; }
  .shares .drawn { width: 22%; }
  .sheet { grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr)); gap: .9rem .75rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --sheet: #fff; --ink: #000; --soft: #555; --rule: #ccc; --rail: #eee;
    --ok: #1f5a45; --failed: #8e2c1f; --unknown: #6d4f0f; --ok-wash: #fff; --failed-wash: #fff; --unknown-wash: #fff;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10pt; }
  main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding: 0 0 1.5rem; }
  section { grid-template-columns: 9rem minmax(0, 1fr); padding: 1.1rem 0; }
  h2, h3, caption { break-after: avoid; }
  li, tr, figure, .figures { break-inside: avoid; }
  a { text-decoration: none; }
}
"""

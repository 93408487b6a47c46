/** The style of all pages. */
export const style = `:root {
  color-scheme: light dark;
  --bg: #f6f8fa; --surface: #fff; --text: #1f2328; --faint: #57606a; --line: #d1d9e0; --soft: #eef1f4; --cell: #fff;
  --sequence: #0860ca; --fork: #7a45d6; --bought: #875700; --missed: #c21f2c; --racing: #b02f7c; --done: #1a7030;
  --del: #ffe3e0; --ins: #d9f5df; --focus: #0860ca;
  --mono: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #0d1117; --surface: #151b23; --text: #f0f6fc; --faint: #9aa4ae; --line: #363d46; --soft: #1e252e; --cell: #0d1117;
    --sequence: #5aa2ff; --fork: #b58cff; --bought: #dba43a; --missed: #ff7b72; --racing: #e87fb5; --done: #57c26b;
    --del: #5b2323; --ins: #1b4427; --focus: #79b8ff;
  }
}
* { box-sizing: border-box }
body {
  margin: 0; background: var(--bg); color: var(--text);
  font: 14px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1240px; margin: 0 auto; padding: 20px 24px 48px }
header.top { background: var(--surface); border-bottom: 1px solid var(--line) }
header.top nav { max-width: 1240px; margin: 0 auto; padding: 0 24px; display: flex; gap: 4px; align-items: center; flex-wrap: wrap }
header.top a { color: var(--faint); text-decoration: none; padding: 11px 10px 9px; border-bottom: 2px solid transparent }
header.top a.brand { color: var(--text); font-weight: 650; padding-left: 0; margin-right: 8px }
header.top a:hover { color: var(--text) }
header.top a[aria-current] { color: var(--text); border-color: var(--sequence) }
header.top .live { margin-left: auto; color: var(--faint); font-size: 12px; padding: 4px 0 }
header.top .live.on { color: var(--done) }
header.top .live.on::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: var(--done); margin-right: 6px }
footer { max-width: 1240px; margin: 0 auto; padding: 0 24px 32px; color: var(--faint); font-size: 12px }
a { color: var(--sequence); text-underline-offset: 2px }
a:not(:hover) { text-decoration-color: color-mix(in srgb, currentColor 35%, transparent) }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 3px }
.skip { position: absolute; left: -999px }
.skip:focus { left: 8px; top: 8px; background: var(--surface); padding: 8px 12px; z-index: 1 }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
h1 { font-size: 22px; line-height: 1.25; margin: 0; font-weight: 650; overflow-wrap: anywhere }
h2 { font-size: 15px; margin: 0 0 10px; font-weight: 650 }
h3 { font-size: 13px; margin: 0 0 6px; font-weight: 650; overflow-wrap: anywhere }
p { margin: 0 0 8px }
p, li, dd, code, pre { overflow-wrap: anywhere }
.title { display: flex; gap: 12px; align-items: center; flex-wrap: wrap }
.title p { margin: 0 }
.verdict { font-size: 15px; margin: 8px 0 4px }
.faint, .off { color: var(--faint) }
code, pre, .text, .excerpt { font-family: var(--mono); font-size: 12.5px }
pre { background: var(--soft); padding: 8px 12px; border-radius: 6px; overflow-x: auto; margin: 0 0 8px }
.block { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px; margin: 16px 0 0; min-width: 0 }
.block.alert { border-left: 3px solid var(--missed) }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 16px }
.cards { list-style: none; padding: 0; margin: 16px 0 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 8px }
.cards.two { grid-template-columns: 1fr 1fr }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; border-top: 3px solid var(--line); min-width: 0 }
.card > a, .card:not(:has(> a)) { display: grid; padding: 8px 12px 10px; color: inherit; text-decoration: none }
.card > a:hover { background: var(--soft) }
.card .label { text-transform: capitalize; color: var(--faint); font-size: 12px }
.card .number { font-size: 22px; font-weight: 650; line-height: 1.3; overflow-wrap: anywhere }
.card .more { color: var(--faint); font-size: 12px }
.card.replayed { border-top-color: var(--sequence) }
.card.bought { border-top-color: var(--bought) }
.card.missed, .card.failed { border-top-color: var(--missed) }
.card.missed:not(.zero) .number, .card.failed .number { color: var(--missed) }
.card.racing { border-top-color: var(--racing) }
.card.racing:not(.zero) .number { color: var(--racing) }
.card.zero { border-top-color: var(--line) }
.card.zero .number { color: var(--faint); font-weight: 400 }
.scroll { overflow-x: auto; margin: 0 -16px; padding: 0 16px }
form > .scroll:first-child { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; margin: 16px 0 0; padding: 0 }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 500; color: var(--faint); font-size: 12px; white-space: nowrap }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top }
form > .scroll:first-child :is(th, td) { padding: 7px 12px }
tbody tr:last-child td { border-bottom: 0 }
tbody tr:hover { background: var(--soft) }
.n { text-align: right; white-space: nowrap; width: 1% }
th.n, td.n { padding-left: 12px }
td.wide { width: 50%; min-width: 200px }
.columns td.wide { width: 100% }
td > time, td > .badge { white-space: nowrap }
td .clock { display: block; font-size: 12px; color: var(--faint) }
td.missed { color: var(--missed); font-weight: 600 }
td.racing { color: var(--racing); font-weight: 600 }
a.main { font-weight: 600 }
.excerpt { overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; width: fit-content }
a.excerpt { text-decoration: none }
a.excerpt:hover { text-decoration: underline }
.draws .excerpt { display: inline }
td.wide .faint { display: block; font-size: 12px; overflow-wrap: anywhere }
.badge { display: inline-block; font-size: 12px; line-height: 18px; padding: 0 7px; border-radius: 9px; --c: var(--faint); color: var(--c); background: color-mix(in srgb, var(--c) 8%, transparent); white-space: nowrap }
.badge.replayed, .badge.reread { --c: var(--sequence) }
.badge.bought, .badge.requested { --c: var(--bought) }
.badge.missed, .badge.failed, .badge.state-failed { --c: var(--missed) }
.badge.racing { --c: var(--racing) }
.badge.state-running, .badge.state-done { --c: var(--done) }
.mark { font-size: 12px; margin-left: 6px; color: var(--faint) }
.mark.missed, .mark.failed { color: var(--missed) }
.mark.bought { color: var(--bought) }
.mark.racing { color: var(--racing) }
.mark.replayed { color: var(--sequence) }
.filters { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: end; margin: 0 0 10px }
.filters label { display: grid; gap: 2px; font-size: 12px; color: var(--faint); max-width: 100% }
input:not([type=radio]), select, button { font: inherit; color: var(--text); background: var(--surface); border: 1px solid color-mix(in srgb, var(--faint) 70%, transparent); border-radius: 6px; padding: 4px 8px; min-height: 32px; max-width: 100% }
.filters select { max-width: 240px }
.filters a { padding: 6px 0 }
button { background: var(--soft); font-weight: 500; cursor: pointer; padding: 4px 12px }
button:hover { border-color: var(--text) }
.actions { margin: 12px 0 }
.block > .actions:last-child { margin-bottom: 0 }
.ab { white-space: nowrap }
.ab label { cursor: pointer; color: var(--faint); padding: 2px 4px }
.ab label:has(:checked) { color: var(--text); font-weight: 600 }
.ab input { margin: 0 2px 0 0; vertical-align: -2px; accent-color: var(--sequence) }
.pager { display: flex; gap: 14px; margin: 12px 0 0; flex-wrap: wrap; align-items: baseline }
.notice { background: var(--soft); border-radius: 6px; padding: 8px 12px; margin: 8px 0 }
.problem { color: var(--missed) }
.empty { padding: 16px; border: 1px dashed color-mix(in srgb, var(--faint) 60%, transparent); border-radius: 8px; margin: 12px 0 0 }
.empty p:last-child, .block > p:last-child { margin-bottom: 0 }
.chart { margin: 0 }
.chart svg { display: block; width: 100%; height: 110px }
.chart .replayed { fill: var(--sequence) }
.chart .spent { fill: var(--bought) }
.chart .axis { stroke: var(--line); vector-effect: non-scaling-stroke }
figcaption, .legend { font-size: 12px; margin: 6px 0; color: var(--faint) }
.nowrap { white-space: nowrap }
.key { margin-right: 10px; white-space: nowrap }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 5px; vertical-align: -1px; background: var(--sequence) }
.key.spent::before, .key.bought::before { background: var(--bought) }
.key.fork::before { background: var(--fork) }
.key.racing::before { background: var(--racing) }
.key.missed::before { background: var(--missed) }
.picture svg { display: block; font-variant-numeric: tabular-nums }
.forks, .forks ul { list-style: none; margin: 0; padding: 0 }
.forks ul { padding-left: 18px; border-left: 1px solid var(--line); margin-left: 4px }
.forks li { padding: 2px 0 }
.forks summary { color: var(--faint); font-size: 12px }
summary { cursor: pointer; overflow-wrap: anywhere }
.receipt { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 4px 24px; margin: 0 }
.receipt div { display: flex; justify-content: space-between; border-bottom: 1px solid var(--line); padding: 3px 0 }
dt { color: var(--faint) }
dd { margin: 0 }
.text { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 480px; overflow-y: auto }
summary .text { max-height: none }
.ctl { background: var(--missed); color: var(--cell); border-radius: 2px; font-size: 11px; padding: 0 2px }
del { background: var(--del); text-decoration: line-through; text-decoration-thickness: 1px }
ins { background: var(--ins); text-decoration: none }
.cut { color: var(--faint) }
.legend del, .legend ins { padding: 1px 5px; border-radius: 3px; color: var(--text) }
.chat { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px }
.message { border-left: 3px solid var(--line); padding-left: 10px; min-width: 0 }
.message.user { border-color: var(--sequence) }
.message.assistant { border-color: var(--fork) }
.role { font-size: 12px; color: var(--faint); font-weight: 600 }
.folded { margin: 4px 0 }
.folded > summary { font-size: 12px; color: var(--faint) }
.folded > .text { background: var(--soft); border-radius: 6px; padding: 6px 10px; margin-top: 4px }
.groups { list-style: none; margin: 0; padding: 0 }
.groups li { display: grid; grid-template-columns: 30px 74px 90px minmax(0, 2fr) minmax(0, 1fr); gap: 10px; padding: 4px 0; border-bottom: 1px solid var(--line); align-items: baseline }
.groups li:last-child { border: 0 }
.groups .what { font-family: var(--mono); font-size: 12.5px; overflow-wrap: anywhere }
.groups .where { font-size: 12px; overflow-wrap: anywhere }
.share { width: 90px; height: 8px; background: var(--soft); border-radius: 2px; align-self: center }
.share rect { fill: var(--sequence) }
.letter { display: inline-block; min-width: 22px; text-align: center; font-weight: 600; font-size: 12px; line-height: 18px; border-radius: 4px; padding: 0 5px; --c: var(--sequence); color: var(--c); border: 1px solid var(--c) }
.g1, .g5 { --c: var(--fork) }
.g2, .g6 { --c: var(--done) }
.g3, .g7 { --c: var(--bought) }
.samples { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px }
.one .samples { grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); align-items: start }
.sequences { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(260px, 1fr); gap: 12px; overflow-x: auto; padding: 8px 0 }
.sample { border: 1px solid var(--line); border-radius: 6px; padding: 6px 10px 8px; min-width: 0 }
.sample .about { display: flex; gap: 8px; align-items: baseline; flex-wrap: wrap; font-size: 12px; margin-bottom: 4px }
.sample .about .ab { margin-left: auto }
.sample .text { max-height: 320px }
.text.whole { max-height: none }
.forknav { overflow-wrap: anywhere }
.draws { margin: 0; padding: 0; list-style: none }
.draws li { padding: 3px 8px; border-left: 3px solid transparent }
.draws li.same { color: var(--faint) }
.draws li.other { border-color: var(--missed); background: var(--soft) }
progress { vertical-align: middle; accent-color: var(--sequence) }
@media (max-width: 760px) {
  main, footer { padding-left: 14px; padding-right: 14px }
  header.top nav { padding: 0 14px }
  .columns, .cards.two { grid-template-columns: minmax(0, 1fr) }
  .cards { grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)) }
  .groups li { grid-template-columns: 30px 70px minmax(0, 1fr) }
  .groups .share { display: none }
  .groups .what, .groups .where { grid-column: 2 / -1 }
  .stacked thead { position: absolute; clip-path: inset(50%) }
  .stacked tr { display: flex; flex-wrap: wrap; gap: 0 12px; padding: 7px 0; border-bottom: 1px solid var(--line) }
  .stacked tr:last-child { border: 0 }
  .stacked :is(td, td.n) { border: 0; padding: 0; width: auto; min-width: 0; text-align: left; white-space: normal; overflow-wrap: anywhere }
  form > .scroll:first-child .stacked td { padding: 0 }
  form > .scroll:first-child .stacked tr { padding: 7px 12px }
  .stacked td.wide { flex-basis: 100% }
  .stacked td[data-name]::before { content: attr(data-name) " "; color: var(--faint); font-size: 12px }
  .stacked td:has(> .faint:only-child):not([data-name], .wide) { display: none }
  .filters label, .filters input, .filters select { width: 100%; max-width: none }
}
@media print { header.top, footer, .filters, .actions, .pager { display: none } }
`

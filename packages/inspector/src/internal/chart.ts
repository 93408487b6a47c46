import type { State } from "@llm-cache/core/TraceIndex"
import { count, duration } from "./format.ts"
import { type Html, html } from "./html.ts"

const width = 720
const height = 96

/** Tokens over the time of a run, as bars: the spent ones on the replayed ones. */
export const tokenChart = ({ series: { buckets, width: part } }: Pick<State, "series">): Html => {
  const most = Math.max(1, ...buckets.map(({ replayed, spent }) => replayed + spent))
  const step = width / Math.max(buckets.length, 24)
  const bar = (kind: string, x: number, from: number, amount: number) => {
    const [top, bottom] = [height - (from + amount) / most * height, height - from / most * height]
    return amount > 0 &&
      html`<rect class="${kind}" x="${x.toFixed(2)}" y="${top.toFixed(2)}" width="${
        Math.max(1, step - 1).toFixed(2)
      }" height="${Math.max(1, bottom - top).toFixed(2)}"/>`
  }
  const quiet = buckets.findIndex(({ replayed, spent }) => replayed + spent > 0) * part
  const total = (name: "spent" | "replayed") => buckets.reduce((sum, bucket) => sum + bucket[name], 0)
  return html`<figure class="chart">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="Tokens over the time of the run: ${
    count(total("spent"))
  } spent, ${count(total("replayed"))} replayed">
${
    buckets.map(({ replayed, spent }, i) => [
      bar("replayed", i * step, 0, replayed),
      bar("spent", i * step, replayed, spent)
    ])
  }<line class="axis" x1="0" y1="${height}" x2="${width}" y2="${height}"/></svg>
<figcaption><span class="key replayed">replayed</span> <span class="key spent">spent</span> <span class="faint">at most ${
    count(most)
  } tokens in ${duration(part)}; ${duration(part * Math.max(buckets.length, 24))} shown${
    quiet > 0 && `, no tokens in the first ${duration(quiet)}`
  }</span></figcaption>
</figure>`
}

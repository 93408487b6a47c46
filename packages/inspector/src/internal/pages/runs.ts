import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { numberIn, type Page, type Params } from "../context.ts"
import { ago, count, isoTime } from "../format.ts"
import { html } from "../html.ts"
import { document, inline, tableOf } from "../markdown.ts"
import { counted, empty, link, numeric, pager, table } from "../parts.ts"
import { infoOf, receiptJson, type RunInfo, verdictOf } from "../runInfo.ts"

const size = 50

/** The runs of a cache, the newest first. */
export interface RunsData {
  readonly cache: string
  readonly now: number
  readonly from: number
  readonly total: number
  readonly runs: ReadonlyArray<RunInfo>
}

export const runsPage: Page<Params, RunsData> = {
  load: ({ indexes, store }, params) =>
    Effect.gen(function*() {
      const all = (yield* indexes.list).toReversed()
      const from = numberIn(params, "from", 0)
      return {
        cache: store.id,
        now: yield* Clock.currentTimeMillis,
        from,
        total: all.length,
        runs: yield* Effect.forEach(all.slice(from, from + size), infoOf)
      }
    }),
  title: () => "Runs",
  body: ({ cache, from, now, runs, total }, links) =>
    html`<h1>Runs</h1>
<p class="faint">of ${cache}</p>
<section id="part-runs" data-part>${
      total === 0 ? howToTrace : html`<form action="${links.compare("", "")?.replace(/\?.*/, "")}" method="get">
${
        table(
          "Runs",
          [
            ...total > 1 ? [html`<th scope="col">Compare</th>`] : [],
            "Run",
            "Started",
            numeric("Asked"),
            numeric("Replayed"),
            numeric("Bought"),
            numeric("Missed"),
            numeric("Racing"),
            numeric("Tokens spent"),
            "State"
          ],
          runs.map((run, i) => row(run, i, now, total > 1, links.run(run.id))),
          { isStacked: true }
        )
      }
${
        total > 1 && html`<p class="actions"><button>Compare A with B</button></p>`
      }
</form>${pager({ from, count: size, total, hasMore: from + size < total }, (from) => `${links.runs()}?from=${from}`)}`
    }</section>`,
  markdown: ({ cache, runs, total }) =>
    document(
      "# Runs",
      `${count(total)} of ${inline(cache)}`,
      runs.length > 0 && tableOf(
        ["Run", "Started", "Asked", "Replayed", "Bought", "Missed", "Racing", "Tokens spent", "State"],
        runs.map(({ id, receipt, startedAt, state }) => [
          id,
          isoTime(startedAt),
          ...receipt === undefined
            ? ["", "", "", "", "", ""]
            : [
              receipt.asked,
              receipt.replayed,
              receipt.bought,
              receipt.missed,
              receipt.racing,
              receipt.inputTokens + receipt.outputTokens
            ],
          receipt?.isReplay === true ? "replay" : state
        ])
      )
    ),
  json: ({ cache, from, runs, total }) => ({
    cache,
    from,
    total,
    runs: runs.map(({ lastAt, receipt, startedAt, ...run }) => ({
      ...run,
      startedAt: isoTime(startedAt),
      lastAt: isoTime(lastAt),
      receipt: receipt === undefined ? null : receiptJson(receipt)
    }))
  })
}

const row = (run: RunInfo, i: number, now: number, canCompare: boolean, href: string | undefined) => {
  const { id, lastAt, name, problem, receipt, startedAt } = run
  const radio = (name: "a" | "b", isOn: boolean) =>
    html`<label><input type="radio" name="${name}" value="${id}"${
      isOn && html` checked`
    }> <span>${name.toUpperCase()}</span><span class="sr"> is ${id}</span></label>`
  const started = Number.isNaN(startedAt) ? lastAt : startedAt
  const numbers = receipt === undefined
    ? html`<td colspan="6" class="problem">${problem}</td>`
    : html`${number("asked", receipt.asked)}${number("replayed", receipt.replayed)}${number("bought", receipt.bought)}${
      number("missed", receipt.missed, "missed")
    }${number("racing", receipt.racing, "racing")}${number("tokens spent", receipt.inputTokens + receipt.outputTokens)}`
  return html`<tr>${canCompare && html`<td class="ab">${radio("a", i === 1)} ${radio("b", i === 0)}</td>`}<td>${
    link(href, name, { class: "main" })
  }</td><td><time datetime="${isoTime(started)}" title="${isoTime(started)}">${
    ago(started, now)
  }</time></td>${numbers}<td>${stateBadges(run)}</td></tr>
`
}

const number = (name: string, n: number, color?: string) =>
  html`<td class="n ${n > 0 && color}" data-name="${name}">${counted(n)}</td>`

export const stateBadges = ({ receipt, state }: Pick<RunInfo, "receipt" | "state">) =>
  html`${
    receipt?.isReplay === true && html`<span class="badge replayed" title="${verdictOf(receipt)}">replay</span> `
  }${
    receipt?.isCut === true
    && html`<span class="badge racing" title="The trace reached its greatest size: its last draws are only counted">cut</span> `
  }<span class="badge state-${state}">${
    state === "running" ? "running" : state === "open" ? "no end so far" : `exit ${receipt?.exit ?? ""}`
  }</span>`

const howToTrace = empty(
  "No run of this cache has a trace.",
  html`<p>A program of the library writes one with <code>LLM_CACHE_TRACE=1</code> and <code>Persistent.layerConfig</code>, or with <code>Trace.layer</code>. Runs of other programs always have one:</p>
<pre>llm-cache run -- python3 agent.py</pre>
<p>Then this page shows the run, also while it goes on.</p>`
)

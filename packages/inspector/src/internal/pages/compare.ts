import type { Difference } from "@llm-cache/core/Explain"
import * as Explain from "@llm-cache/core/Explain"
import type { Draw } from "@llm-cache/core/TraceIndex"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Links, Page, Sources } from "../context.ts"
import { context, type Divergence, divergenceOf } from "../divergence.ts"
import { count, forkLabel, modelLabel, plural } from "../format.ts"
import { type Html, html } from "../html.ts"
import type { OpenTrace } from "../indexes.ts"
import { document, inline, tableOf } from "../markdown.ts"
import { differencesView, empty, forkText, link, numeric, outcomeBadge, table } from "../parts.ts"
import { infoOf, type RunInfo } from "../runInfo.ts"
import type { DrawRow } from "./runData.ts"
import { stateBadges } from "./runs.ts"
import { drawJson } from "./runTexts.ts"

/** The most forks that are listed. */
const mostForks = 50

export interface CompareData {
  readonly a: RunInfo
  readonly b: RunInfo
  readonly drawsOfA: number
  readonly drawsOfB: number
  /** Draws that both runs have, of the same key and position, in any order. */
  readonly both: number
  readonly onlyA: number
  readonly onlyB: number
  readonly divergences: ReadonlyArray<Divergence>
  readonly forks: number
  /** The first divergence, by the time of the first run. */
  readonly first:
    | {
      readonly fork: string
      readonly same: number
      readonly a: ReadonlyArray<DrawRow>
      readonly b: ReadonlyArray<DrawRow>
      /** The difference of the two prompts, if they are different. */
      readonly differences: ReadonlyArray<Difference> | undefined
    }
    | undefined
  readonly alone: { readonly a: ReadonlyArray<DrawRow>; readonly b: ReadonlyArray<DrawRow> }
  /** Which traces were cut. */
  readonly cut: ReadonlyArray<string>
  /** Why the cache cannot be read. */
  readonly problem: string | undefined
}

export interface CompareInput {
  readonly a: string
  readonly b: string
}

export const comparePage: Page<CompareInput, CompareData> = {
  load: (sources, { a, b }) =>
    Effect.gen(function*() {
      const [one, other] = [yield* sources.indexes.open(a), yield* sources.indexes.open(b)]
      if (one === undefined || other === undefined) return undefined
      for (const trace of [one, other]) while (!(yield* trace.refresh));
      const found = divergenceOf(one.index, other.index)
      const rowsOf = (trace: OpenTrace, rows: ReadonlyArray<number>) => withTexts(sources, trace, rows)
      const first = found.first && {
        fork: found.first.fork,
        same: found.first.same,
        a: yield* rowsOf(one, found.first.a),
        b: yield* rowsOf(other, found.first.b)
      }
      const [divergentA, divergentB] = [first?.a, first?.b].map((rows, i) =>
        rows?.find(({ row }) => row === found.first?.rows[i])
      )
      const read = yield* Effect.result(Effect.all([
        divergentA === undefined ? Effect.undefined : promptOf(sources, one, divergentA),
        divergentB === undefined ? Effect.undefined : promptOf(sources, other, divergentB)
      ]))
      const prompts = Result.isSuccess(read) ? read.success : []
      return {
        a: yield* infoOf(one.run),
        b: yield* infoOf(other.run),
        drawsOfA: one.index.state().draws,
        drawsOfB: other.index.state().draws,
        both: found.both,
        onlyA: found.onlyA,
        onlyB: found.onlyB,
        divergences: found.divergences.slice(0, mostForks),
        forks: found.divergences.length,
        first: first && {
          ...first,
          differences: prompts[0] !== undefined && prompts[1] !== undefined && prompts[0] !== prompts[1]
            ? Explain.differences(prompts[0], prompts[1])
            : undefined
        },
        alone: { a: yield* rowsOf(one, found.alone.a), b: yield* rowsOf(other, found.alone.b) },
        cut: [one, other].flatMap(({ index }, i) =>
          index.state().receipt.isCut
            ? [
              `The trace of ${"AB"[i]} reached its greatest size: ${
                plural(index.state().draws, "draw")
              } of it are compared.`
            ]
            : []
        ),
        problem: Result.isFailure(read) ? read.failure.message : undefined
      }
    }),
  title: ({ a, b }) => `${a.name} and ${b.name}`,
  body: (data, links) => body(data, links),
  markdown: ({ a, b, alone, both, cut, divergences, first, onlyA, onlyB, problem }) =>
    document(
      `# ${inline(a.id)} and ${inline(b.id)}`,
      ...cut,
      problem && inline(problem),
      `${count(both)} draws in both, ${count(onlyA)} only in A, ${count(onlyB)} only in B`,
      first &&
        `## First divergence: after ${plural(first.same, "equal draw")}${
          first.fork === "" ? "" : ` of the fork ${inline(first.fork)}`
        }`,
      first && tableOf(["Run", "Request", "Prompt", "Position"], [
        ...first.a.map((draw) => ["A", ...cells(draw)]),
        ...first.b.map((draw) => ["B", ...cells(draw)])
      ]),
      divergences.length > 0 && "## Forks that differ",
      divergences.length > 0 && tableOf(
        ["Fork", "Equal draws", "In A", "In B"],
        divergences.map(({ a, b, fork, same }) => [fork, same, a, b])
      ),
      alone.a.length > 0 && "## Only in A",
      alone.a.length > 0 && tableOf(["Request", "Prompt", "Position"], alone.a.map(cells)),
      alone.b.length > 0 && "## Only in B",
      alone.b.length > 0 && tableOf(["Request", "Prompt", "Position"], alone.b.map(cells))
    ),
  json: ({ a, alone, b, first, ...counts }) => ({
    a: a.id,
    b: b.id,
    ...counts,
    first: first === undefined
      ? null
      : { ...first, a: first.a.map(drawJson), b: first.b.map(drawJson), differences: first.differences ?? null },
    alone: { a: alone.a.map(drawJson), b: alone.b.map(drawJson) }
  })
}

const cells = ({ excerpt, key, number, position }: DrawRow) => [
  number ?? "",
  excerpt ?? key.promptHash.slice(0, 8),
  position
]

const withTexts = Effect.fnUntraced(function*(
  { texts }: Sources,
  { index }: OpenTrace,
  rows: ReadonlyArray<number>
) {
  const draws = (yield* Effect.forEach(rows, index.draw)).filter((draw) => draw !== undefined)
  const { excerptOf } = yield* texts.excerpts(draws.map(({ key }) => key), index)
  return draws.map((draw): DrawRow => ({ ...draw, excerpt: excerptOf(draw.key) }))
})

const promptOf = Effect.fnUntraced(function*({ store }: Sources, { index }: OpenTrace, { key }: Draw) {
  const { identity, promptHash } = key
  const found = yield* Stream.runHead(Stream.filter(store.keys({ identity, promptHash }), Result.isSuccess))
  return Option.isSome(found) ? found.value.success.key.prompt : yield* index.promptText(key)
})

const body = (data: CompareData, links: Links): Html => {
  const { a, alone, b, both, cut, divergences, drawsOfA, drawsOfB, first, forks, onlyA, onlyB } = data
  const name = (side: "A" | "B", run: RunInfo, draws: number) =>
    html`<li class="card"><span class="label">${side}</span><span class="number">${
      link(links.run(run.id), run.name)
    }</span><span class="more">${plural(draws, "draw")} ${stateBadges(run)}</span></li>`
  return html`<h1>Run against run</h1>
<ul class="cards two">${name("A", a, drawsOfA)}${name("B", b, drawsOfB)}</ul>
${cut.map((text) => html`<p class="notice">${text}</p>`)}${
    data.problem !== undefined && html`<p class="notice problem">${data.problem}</p>`
  }
<p class="verdict">${
    onlyA + onlyB === 0 && first === undefined
      ? "Both runs drew the same samples, in the same order in each fork."
      : onlyA + onlyB === 0
      ? "Both runs drew the same samples, in another order."
      : `${count(both)} draws are in both, ${count(onlyA)} only in A, ${count(onlyB)} only in B.`
  }</p>
${
    drawsOfA + drawsOfB === 0
    && empty("Neither run drew anything.", html`<p>Choose other runs on ${link(links.runs(), "the list of runs")}.</p>`)
  }
${
    first && html`<section class="block alert"><h2>First divergence</h2>
<p>${first.fork === "" ? "Outside of forks" : html`In the fork ${first.fork}`}, ${
      first.same === 0
        ? "the runs differ from the first draw on."
        : html`the first ${plural(first.same, "draw")} ${first.same === 1 ? "is" : "are"} equal.`
    }</p>
<div class="columns">${drawList("A", a.id, first.a, first.same, links)}${
      drawList("B", b.id, first.b, first.same, links)
    }</div>
${
      first.differences &&
      html`<h3>The first prompts that differ</h3>${
        differencesView(first.differences)
      }<p class="legend"><del>only A</del> <ins>only B</ins></p>`
    }</section>`
  }
${
    forks > 1 && html`<section class="block"><h2>Forks that differ</h2>${
      table(
        "Forks that differ",
        ["Fork", numeric("Equal from the first on"), numeric("Draws in A"), numeric("Draws in B")],
        divergences.map(({ a, b, fork, same }) =>
          html`<tr><td>${forkText(fork)}</td><td class="n">${count(same)}</td><td class="n">${
            count(a)
          }</td><td class="n">${count(b)}</td></tr>
`
        )
      )
    }${forks > divergences.length && html`<p class="faint">and ${forks - divergences.length} more</p>`}</section>`
  }
${
    (alone.a.length > 0 || alone.b.length > 0) && html`<div class="columns">
<section class="block"><h2>Only in A</h2>${aloneView(a.id, alone.a, onlyA, links)}</section>
<section class="block"><h2>Only in B</h2>${aloneView(b.id, alone.b, onlyB, links)}</section></div>`
  }`
}

const drawList = (side: string, id: string, draws: ReadonlyArray<DrawRow>, same: number, links: Links): Html => {
  const equal = Math.min(same, context)
  return html`<div><h3>${side}</h3><ol class="draws">${
    draws.map((draw, i) =>
      html`<li class="${i < equal ? "same" : i === equal ? "other" : ""}"><span class="faint">${
        draw.number === undefined ? "–" : count(draw.number)
      }</span> ${
        link(links.prompt(draw.key, { run: id }), draw.excerpt ?? draw.key.promptHash.slice(0, 8), { class: "excerpt" })
      } <span class="faint">position ${draw.position}</span> ${outcomeBadge(draw.outcome, draw.isRacing)}</li>`
    )
  }${draws.length <= equal && html`<li class="other faint">no further draw</li>`}</ol></div>`
}

const aloneView = (id: string, draws: ReadonlyArray<DrawRow>, total: number, links: Links): Html =>
  draws.length === 0
    ? html`<p class="faint">Nothing.</p>`
    : html`<ol class="draws">${
      draws.map((draw) =>
        html`<li><span class="faint">${draw.number === undefined ? "–" : count(draw.number)}</span> ${
          link(links.prompt(draw.key, { run: id }), draw.excerpt ?? draw.key.promptHash.slice(0, 8), {
            class: "excerpt"
          })
        } <span class="faint">position ${draw.position}${
          draw.key.path.length > 0 && html`, fork ${forkLabel(draw.key.path)}`
        }, ${modelLabel(draw.key.identity)}</span></li>`
      )
    }</ol>${total > draws.length && html`<p class="faint">and ${count(total - draws.length)} more</p>`}`

import type { Explanation } from "@llm-cache/core/Explain"
import * as Explain from "@llm-cache/core/Explain"
import * as Effect from "effect/Effect"
import { gist } from "../chat.ts"
import type { Page } from "../context.ts"
import { count, forkLabel, modelLabel, plural } from "../format.ts"
import { html } from "../html.ts"
import { document, fence, inline, tableOf } from "../markdown.ts"
import {
  differencesView,
  explanationView,
  forkText,
  link,
  mostOfPrompt,
  numeric,
  promptStart,
  promptView,
  table
} from "../parts.ts"
import { excerpt } from "../visible.ts"
import type { DrawRow } from "./runData.ts"
import { drawJson } from "./runTexts.ts"

/** Traces up to this size are read for the misses that follow from others, in bytes. */
const mostBytes = 64 * 1024 * 1024

/** The most misses that are listed. */
const mostListed = 100

/** A miss that another one caused, or that did not follow from any. */
interface Listed extends Explain.Miss {
  readonly row: number | undefined
}

export interface MissData {
  readonly run: { readonly id: string; readonly name: string }
  readonly draw: DrawRow
  readonly prompt: string | undefined
  readonly explanation: Explanation
  /** Whether the cache has the sample now. */
  readonly isStored: boolean
  /** `undefined` if the trace is too large to find out. */
  readonly misses: ReadonlyArray<Listed> | undefined
}

export interface MissInput {
  readonly id: string
  readonly row: number
}

export const missPage: Page<MissInput, MissData> = {
  load: ({ explanations, indexes, store, texts }, { id, row }) =>
    Effect.gen(function*() {
      const trace = yield* indexes.open(id)
      if (trace === undefined) return undefined
      const { index } = trace
      while (index.state().draws <= row && !(yield* trace.refresh));
      const draw = yield* index.draw(row)
      if (draw?.outcome !== "missed") return undefined
      const prompt = yield* index.promptText(draw.key)
      const stored = (yield* texts.keysOf(draw.key.promptHash, draw.key.identity)).keys
        .find(({ key }) => forkLabel(key.path) === forkLabel(draw.key.path))
      const isStored = stored !== undefined && (yield* store.positions(stored.key)).includes(draw.position)
      const misses = index.state().size > mostBytes ? undefined : yield* explanations.misses(trace)
      const from = misses?.find(({ number }) => number === draw.number)?.from
      const explanation = (yield* explanations.explain(trace, { ...draw, from }, { wait: true }))!
      const rows = misses && (yield* index.draws({ outcome: "missed" }, 0, mostListed)).draws
      return {
        run: { id, name: index.state().name },
        draw: { ...draw, excerpt: prompt && excerpt(gist(prompt)) },
        prompt,
        explanation,
        isStored,
        misses: misses?.slice(0, mostListed).map((miss) => ({
          ...miss,
          row: rows?.find(({ number }) => number === miss.number)?.row
        }))
      }
    }),
  title: ({ draw, run }) => `Miss ${draw.number ?? ""} of ${run.name}`,
  body: ({ draw, explanation, isStored, misses, prompt, run }, links) => {
    const { key, number, position } = draw
    const whole = links.prompt(key, { run: run.id, whole: "prompt" })
    const first = misses?.filter(({ from }) => from === undefined) ?? []
    return html`<div class="title"><h1>${number === undefined ? "A miss" : `Request ${count(number)} missed`}</h1></div>
<p class="faint">${link(links.run(run.id), run.name)} · ${modelLabel(key.identity)} · position ${position}${
      key.path.length > 0 && html` · fork ${forkLabel(key.path)}`
    } · ${link(links.prompt(key, { run: run.id }), html`prompt <code>${key.promptHash.slice(0, 8)}</code>`)}</p>
${isStored && html`<p class="notice">The cache has this sample now: another run would not miss it.</p>`}
<section class="block alert"><h2>Why</h2>${explanationView(explanation)}${
      explanation.verdict === "near" && html`<p>${
        link(
          links.prompt({ identity: key.identity, promptHash: explanation.nearest.hash }),
          html`The nearest prompt <code>${explanation.nearest.hash.slice(0, 8)}</code>`
        )
      } has ${plural(explanation.nearest.samples, "sample")}, and shares ${
        Math.round(explanation.nearest.similarity * 100)
      } % of the words.</p>
<details class="long"><summary>More of the difference</summary>${
        differencesView(explanation.differences, 5000)
      }</details>`
    }</section>
<section class="block"><h2>What was asked</h2>${
      prompt === undefined
        ? html`<p class="faint">The trace does not have its text.</p>`
        : prompt.length > mostOfPrompt && whole !== undefined
        ? promptStart(prompt, whole)
        : promptView(prompt)
    }</section>
<section class="block"><h2>Misses of this run</h2>${
      misses === undefined
        ? html`<p>The trace is too large to find out which misses follow from others. ${
          link(links.run(run.id, { outcome: "missed" }), "All misses")
        }</p>`
        : html`<p>${plural(first.length, "request")} missed by ${first.length === 1 ? "itself" : "themselves"}${
          misses.length > first.length
          && html`, and ${plural(misses.length - first.length, "other")} because of an earlier one`
        }.</p>${
          table(
            "Misses",
            [numeric("Request"), "Prompt", "Fork", "Follows from", numeric("Causes")],
            misses.map((miss) =>
              html`<tr><td class="n">${
                link(miss.row === undefined ? undefined : links.miss(run.id, miss.row), count(miss.number))
              }</td><td class="wide"><span class="excerpt">${excerpt(gist(miss.prompt))}</span></td><td>${
                forkText(forkLabel(miss.path))
              }</td><td>${
                miss.from === undefined ? html`<span class="faint">–</span>` : `request ${miss.from}`
              }</td><td class="n">${miss.follows}</td></tr>
`
            )
          )
        }`
    }</section>`
  },
  markdown: ({ draw, explanation, misses, prompt, run }) =>
    document(
      `# Request ${draw.number ?? ""} of ${inline(run.name)} missed`,
      fence(Explain.format(explanation)),
      prompt !== undefined && "## What was asked",
      prompt !== undefined && fence(prompt),
      misses !== undefined && "## Misses of this run",
      misses !== undefined
        && tableOf(
          ["Request", "Prompt", "Fork", "Follows from", "Causes"],
          misses.map(({ follows, from, number, path, prompt }) => [
            number,
            excerpt(gist(prompt)),
            forkLabel(path),
            from ?? "",
            follows
          ])
        )
    ),
  json: ({ draw, explanation, isStored, misses, prompt, run }) => ({
    run,
    draw: drawJson(draw),
    prompt: prompt ?? null,
    isStored,
    verdict: explanation.verdict,
    explanation: Explain.format(explanation),
    differences: explanation.verdict === "near" ? explanation.differences : [],
    misses: misses?.map(({ follows, from, number, path, position, row }) => ({
      row: row ?? null,
      number,
      from: from ?? null,
      follows,
      fork: path,
      position
    })) ?? null
  })
}

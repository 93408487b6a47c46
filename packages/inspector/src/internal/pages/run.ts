import type { Identity } from "@llm-cache/core/Identity"
import type { Draw, Filter, Outcome } from "@llm-cache/core/TraceIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Links, numberIn, type Page, type Params, type Sources } from "../context.ts"
import { count, duration, forkLabel, forkPath, identityKey, modelLabel } from "../format.ts"
import { type Html, html } from "../html.ts"
import { empty, forkText, numeric, outcomeBadge, pager, table } from "../parts.ts"
import { infoOf, receiptLines } from "../runInfo.ts"
import { forkTree } from "./forks.ts"
import type { DrawRow, RunData, RunQuery } from "./runData.ts"
import { head, overview, promptLink } from "./runOverview.ts"
import { runJson, runMarkdown } from "./runTexts.ts"

/** The most draws, prompts and races of a page. */
export const size = 50
const mostPrompts = 10
const mostRaces = 5

const filters = ["replayed", "bought", "missed", "racing", "bypassed", "failed", "requested", "reread"] as const

/** The id of a run, and the query of its page. `wait` for everything, for a file. */
export interface RunInput {
  readonly id: string
  readonly params: Params
  readonly wait?: boolean
}

export const runPage: Page<RunInput, RunData> = {
  load: (sources, { id, params, wait = false }) =>
    Effect.gen(function*() {
      const trace = yield* sources.indexes.open(id)
      if (trace === undefined) return undefined
      const { index, run } = trace
      const isComplete = wait
        ? yield* Effect.repeat(trace.refresh, { until: (isComplete) => isComplete })
        : yield* trace.refresh
      const info = yield* infoOf(run)
      const state = index.state()
      const query: RunQuery = {
        outcome: params.get("outcome") ?? "",
        fork: params.get("fork") ?? "",
        model: params.get("model") ?? "",
        prompt: (params.get("prompt") ?? "").trim()
      }
      const { filter, problem, unsearched } = yield* filterOf(sources, query, state.identities)
      const from = numberIn(params, "from", 0)
      const { draws, total } = yield* index.draws(filter, from, size)
      const races = (yield* index.draws({ outcome: "racing" }, 0, mostRaces)).draws
      const partners = yield* Effect.forEach(
        races,
        ({ before }) => before === undefined ? Effect.undefined : index.draw(before)
      )
      const missed = state.firstMissed === undefined ? undefined : yield* index.draw(state.firstMissed)
      const explained = missed && (yield* Effect.result(sources.explanations.explain(trace, missed, { wait })))
      const prompts = yield* index.prompts("tokens", mostPrompts)
      const most = prompts.length > 0 ? prompts : yield* index.prompts("asked", mostPrompts)
      const { excerptOf, problem: unread } = yield* sources.texts.excerpts([
        ...missed === undefined ? [] : [missed.key],
        ...draws.map(({ key }) => key),
        ...most.map(({ identity, promptHash }) => ({ identity, promptHash, path: [] })),
        ...races.map(({ key }) => key)
      ], index)
      const withText = (draw: Draw): DrawRow => ({ ...draw, excerpt: excerptOf(draw.key) })
      const all = yield* sources.indexes.list
      const earlier = all.slice(0, all.findIndex((one) => one.id === id))
      const sameName = earlier.findLast((one) => one.id.endsWith(`-${info.name}`))
      return {
        info: info.receipt === undefined || !isComplete
          ? info
          // The lines of a cut trace are not all that its receipt counts.
          : { ...info, receipt: state.receipt.isCut ? { ...info.receipt, isCut: true } : state.receipt },
        file: run.file,
        now: yield* Clock.currentTimeMillis,
        state,
        isComplete,
        forks: forkTree(index.forks()),
        prompts: most.map((prompt) => ({ ...prompt, excerpt: excerptOf({ ...prompt, path: [] }) })),
        races: races.map((other, i) => ({
          one: partners[i] && withText(partners[i]),
          other: withText(other)
        })),
        firstMiss: missed && explained && {
          draw: withText(missed),
          explanation: Result.isSuccess(explained) ? explained.success : undefined,
          problem: Result.isFailure(explained) ? explained.failure.message : undefined
        },
        query,
        draws: draws.map(withText),
        total,
        from,
        before: (sameName ?? earlier.at(-1))?.id,
        problem,
        problems: [
          ...new Set([
            unread,
            explained && Result.isFailure(explained) ? explained.failure.message : undefined,
            unsearched
          ])
        ].filter((text) => text !== undefined)
      }
    }),
  title: ({ info }) => info.name,
  body: (data, links) =>
    html`<section id="part-head" data-part>${head(data, links)}</section>
<section id="part-overview" data-part>${overview(data, links)}</section>
<section id="part-draws" data-part class="block"><h2 id="asked">What was asked</h2>${asked(data, links)}</section>
<section id="part-receipt" data-part class="block">${receiptView(data)}</section>`,
  markdown: runMarkdown,
  json: runJson
}

const filterOf = Effect.fnUntraced(function*(
  { texts }: Sources,
  query: RunQuery,
  identities: ReadonlyArray<Identity>
) {
  const identity = query.model === "" ? undefined : identities.find((one) => identityKey(one) === query.model)
  const outcome = (filters as ReadonlyArray<string>).includes(query.outcome)
    ? query.outcome as Outcome | "racing"
    : undefined
  const byHash = /^[0-9a-f]{4,64}$/i.test(query.prompt)
  // The trace has only hashes of prompts, so the cache is searched.
  const searched = query.prompt === "" || byHash
    ? undefined
    : yield* Effect.result(texts.search(query.prompt, identity))
  const found = searched && Result.isSuccess(searched) ? searched.success : undefined
  const filter: Filter = {
    ...outcome !== undefined && { outcome },
    ...query.fork !== "" && { fork: forkPath(query.fork) },
    ...identity !== undefined && { identity },
    ...query.prompt !== "" && { promptHashes: byHash ? [query.prompt.toLowerCase()] : found?.hashes ?? [] }
  }
  const problem = query.model !== "" && identity === undefined
    ? "This run has no such model."
    : query.outcome !== "" && outcome === undefined
    ? "There is no such outcome."
    : found?.problem
  return { filter, problem, unsearched: searched && Result.isFailure(searched) ? searched.failure.message : undefined }
})

const asked = ({ draws, from, info, problem, query, state, total }: RunData, links: Links): Html => {
  const base = links.run(info.id)
  const isFiltered = Object.values(query).some((value) => value !== "")
  const option = (value: string, text: string, chosen: string) =>
    html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`
  const form = base === undefined ?
    undefined :
    html`<form class="filters" action="${base}#asked" method="get" autocomplete="off">
<label>Outcome <select name="outcome">${option("", "all", query.outcome)}${
      filters.map((name) => option(name, name, query.outcome))
    }</select></label>
<label>Model <select name="model">${option("", "all", query.model)}${
      state.identities.slice(0, 100).map((identity) => option(identityKey(identity), modelLabel(identity), query.model))
    }</select></label>
<label>Fork <input name="fork" value="${query.fork}" placeholder="worker-1" autocomplete="off"></label>
<label>Prompt <input name="prompt" type="search" value="${query.prompt}" placeholder="words, or the start of a hash" autocomplete="off"></label>
<button>Filter</button>${isFiltered && html` <a href="${base}#asked">Clear</a>`}</form>`
  const rows = draws.map((draw) => {
    const { at, key, number, outcome, position, reader, row } = draw
    const model = modelLabel(key.identity)
    return html`<tr><td class="n" data-name="request">${
      number === undefined ? html`<span class="faint">–</span>` : count(number)
    }</td><td class="n faint">${duration(Math.max(0, at - state.startedAt))}</td><td>${
      outcomeBadge(outcome, draw.isRacing)
    }${
      outcome === "missed" && links.miss(info.id, row) !== undefined
      && html` <a href="${links.miss(info.id, row)}">why</a>`
    }</td><td class="wide">${promptLink(draw, links, info.id)}</td><td class="n" data-name="position">${position}${
      reader !== undefined && html`<span class="faint"> of attempt ${reader}</span>`
    }</td><td>${forkText(forkLabel(key.path))}</td><td class="faint ${
      model.length <= 24 && "nowrap"
    }">${model}</td></tr>
`
  })
  return html`${form}${problem !== undefined && html`<p class="notice">${problem}</p>`}
${
    draws.length === 0
      ? from > 0 && total > 0
        ? empty(
          "There are no draws so far behind.",
          html`<p>See <a href="${links.run(info.id, { ...query })}#asked">the first of ${count(total)}</a>.</p>`
        )
        : isFiltered
        ? empty("No draw has all of this.", html`<p>Choose less, or <a href="${base}#asked">clear the filters</a>.</p>`)
        : empty(
          "Nothing was asked so far.",
          html`<p>If the program should have asked: its model needs the cache of this trace, or its client the variable <code>OPENAI_BASE_URL</code>.</p>`
        )
      : html`${
        table(
          "What was asked",
          [
            numeric("Request"),
            numeric("After"),
            "Outcome",
            "Prompt",
            numeric("Position"),
            "Fork",
            "Model"
          ],
          rows,
          { isStacked: true }
        )
      }${
        pager({ from, count: size, total, hasMore: from + size < total }, (from) => {
          const href = links.run(info.id, { ...query, from })
          return href && `${href}#asked`
        })
      }`
  }`
}

const receiptView = ({ info: { receipt } }: RunData): Html | undefined =>
  receipt &&
  html`<h2>Receipt</h2><dl class="receipt">${
    receiptLines(receipt).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)
  }</dl>`

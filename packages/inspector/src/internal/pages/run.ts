import type { Identity } from "@llm-cache/core/Identity"
import type { Draw, Filter, Outcome } from "@llm-cache/core/TraceIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { tokenChart } from "../chart.ts"
import { type Links, numberIn, type Page, type Params, type Query, type Sources } from "../context.ts"
import { ago, count, duration, forkLabel, forkPath, identityKey, isoTime, modelLabel, plural } from "../format.ts"
import { type Html, html } from "../html.ts"
import { counted, empty, explanationView, forkText, link, numeric, outcomeBadge, pager, table } from "../parts.ts"
import { infoOf, receiptLines, verdictOf } from "../runInfo.ts"
import { forksView, forkTree } from "./forks.ts"
import type { DrawRow, RunData, RunQuery } from "./runData.ts"
import { stateBadges } from "./runs.ts"
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
      const { filter, problem } = yield* filterOf(sources, query, state.identities)
      const from = numberIn(params, "from", 0)
      const { draws, total } = yield* index.draws(filter, from, size)
      const races = (yield* index.draws({ outcome: "racing" }, 0, mostRaces)).draws
      const partners = yield* Effect.forEach(
        races,
        ({ before }) => before === undefined ? Effect.undefined : index.draw(before)
      )
      const missed = state.firstMissed === undefined ? undefined : yield* index.draw(state.firstMissed)
      const explanation = missed && (yield* sources.explanations.explain(trace, missed, { wait }))
      const prompts = yield* index.prompts("tokens", mostPrompts)
      const most = prompts.length > 0 ? prompts : yield* index.prompts("asked", mostPrompts)
      const excerptOf = yield* sources.texts.excerpts([
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
        info: info.receipt === undefined ? info : { ...info, receipt: isComplete ? state.receipt : info.receipt },
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
        firstMiss: missed && { draw: withText(missed), explanation },
        query,
        draws: draws.map(withText),
        total,
        from,
        before: (sameName ?? earlier.at(-1))?.id,
        problem
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
  const found = query.prompt === "" || byHash ? undefined : yield* texts.search(query.prompt, identity)
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
  return { filter, problem }
})

const head = ({ before, file, info, isComplete, now, state }: RunData, links: Links) => {
  const { lastAt, name, receipt, startedAt } = info
  const start = Number.isNaN(startedAt) ? state.startedAt : startedAt
  const percent = state.size === 0 ? 100 : Math.floor(state.read / state.size * 100)
  return html`<div class="title"><h1>${name}</h1><p>${stateBadges(info)}</p></div>
<p class="verdict">${receipt === undefined ? info.problem : verdictOf(receipt)}</p>
<p class="faint"><time datetime="${isoTime(start)}" title="${isoTime(start)}">${ago(start, now)}</time>, ${
    duration(Math.max(0, (state.lastAt || lastAt) - start))
  } long · <code title="${file}">${file.split(/[\\/]/).at(-1)}</code>${
    before !== undefined && links.compare(before, info.id) !== undefined
    && html` · <a href="${links.compare(before, info.id)}">Compare with the run before</a>`
  }</p>
${
    !isComplete
    && html`<p class="notice" role="status">Reading the trace: ${percent} %. The numbers below grow until it is read. <progress max="100" value="${percent}">${percent} %</progress></p>`
  }`
}

const overview = (data: RunData, links: Links) => {
  const { firstMiss, forks, info, prompts, races, state } = data
  const { receipt } = info
  if (receipt === undefined) return undefined
  const href = (query: Query) => links.run(info.id, query)
  const card = (name: string, n: number, more: string, query?: Query) => {
    const content = html`<span class="label">${name}</span><span class="number">${
      count(n)
    }</span><span class="more">${more}</span>`
    const target = query && n > 0 ? href(query) : undefined
    return target === undefined
      ? html`<li class="card ${name} ${n === 0 && "zero"}">${content}</li>`
      : html`<li class="card ${name}"><a href="${target}#asked">${content}</a></li>`
  }
  const spent = receipt.inputTokens + receipt.outputTokens
  const replayed = receipt.replayedInputTokens + receipt.replayedOutputTokens
  return html`<ul class="cards">
${card("asked", receipt.asked, plural(state.prompts, "prompt"), {})}
${
    card("replayed", receipt.replayed, receipt.reread > 0 ? `${count(receipt.reread)} read again` : "from the cache", {
      outcome: "replayed"
    })
  }
${card("bought", receipt.bought, `${count(spent)} tokens spent`, { outcome: "bought" })}
${card("missed", receipt.missed, "not in the cache", { outcome: "missed" })}
${card("racing", receipt.racing, "order not certain", { outcome: "racing" })}
${card("bypassed", receipt.bypassed, "by no cache", { outcome: "bypassed" })}
${receipt.failed > 0 && card("failed", receipt.failed, "requests without an answer", { outcome: "failed" })}
</ul>
<div class="block"><h2>Tokens over time</h2>
${
    spent + replayed === 0
      ? html`<p class="faint">No tokens so far.</p>`
      : html`${tokenChart(state)}<p class="faint">${count(spent)} spent (${count(receipt.inputTokens)} in, ${
        count(receipt.outputTokens)
      } out), ${count(replayed)} replayed (${count(receipt.replayedInputTokens)} in, ${
        count(receipt.replayedOutputTokens)
      } out)</p>`
  }</div>
${
    firstMiss && html`<div class="block alert"><h2>The first miss</h2>
<p>${firstMiss.draw.number !== undefined && html`Request ${count(firstMiss.draw.number)}: `}${
      modelLabel(firstMiss.draw.key.identity)
    }, position ${firstMiss.draw.position}${
      firstMiss.draw.key.path.length > 0 && html`, fork ${forkLabel(firstMiss.draw.key.path)}`
    }</p>
${
      firstMiss.explanation === undefined
        ? html`<p class="faint" role="status">Comparing it with the prompts of the cache …</p>`
        : explanationView(firstMiss.explanation)
    }
${
      links.miss(info.id, firstMiss.draw.row) !== undefined
      && html`<p class="actions"><a href="${
        links.miss(info.id, firstMiss.draw.row)
      }">Explain it, and the misses that follow</a></p>`
    }</div>`
  }
${
    races.length > 0 && html`<div class="block alert"><h2>Races</h2>
<p>These draws overlapped in one fork, so a replay may swap their samples. Give each worker a fork.</p>
${
      table(
        "Races",
        ["Draws", "Fork", "Positions", "Prompt"],
        races.map(({ one, other }) =>
          html`<tr><td>${one && html`${nameOfDraw(one)} and `}${nameOfDraw(other)}</td><td>${
            forkText(forkLabel(other.key.path))
          }</td><td>${one && html`${one.position} and `}${other.position}</td><td>${
            promptLink(other, links, info.id)
          }</td></tr>
`
        )
      )
    }${
      receipt.racing > races.length
      && html`<p class="actions">${link(href({ outcome: "racing" }), `All ${count(receipt.racing)} racing draws`)}</p>`
    }</div>`
  }
${
    state.passed.length > 0 && html`<div class="block"><h2>Passed on</h2>
<p>Requests that the server does not cache went to its upstream, and a replay would send them again.</p>
${
      table(
        "Passed on",
        ["Request", numeric("Status"), numeric("Count")],
        state.passed.map(({ count: n, method, path, status }) =>
          html`<tr><td class="wide"><code>${method} ${path}</code></td><td class="n">${status}</td><td class="n">${
            count(n)
          }</td></tr>
`
        )
      )
    }</div>`
  }
<div class="columns">
<div class="block"><h2>Prompts that cost most</h2>
${
    prompts.length === 0
      ? html`<p class="faint">Nothing was asked so far.</p>`
      : table(
        "Prompts that cost most",
        ["Prompt", numeric("Asked"), numeric("Spent"), numeric("Replayed")],
        prompts.map((prompt) =>
          html`<tr><td class="wide">${
            link(
              links.prompt(prompt, { run: info.id }),
              prompt.excerpt ?? prompt.promptHash.slice(0, 8),
              { class: "excerpt" }
            )
          }<span class="faint">${modelLabel(prompt.identity)}${
            prompt.forks > 1 && html`, ${plural(prompt.forks, "fork")}`
          }</span></td><td class="n" data-name="asked">${counted(prompt.asked)}</td><td class="n" data-name="spent">${
            counted(prompt.spentTokens)
          }</td><td class="n" data-name="replayed">${counted(prompt.replayedTokens)}</td></tr>
`
        ),
        { isStacked: true }
      )
  }</div>
<div class="block"><h2>Forks</h2>
${
    forks.inside.length === 0
      ? html`<p class="faint">The run has no forks: its draws share one sequence for each prompt.</p>`
      : forksView(forks, (path) => {
        const target = href({ fork: forkLabel(path) })
        return target && `${target}#asked`
      })
  }</div>
</div>`
}

const nameOfDraw = ({ number, outcome }: Draw) =>
  number === undefined ? html`a ${outcome} request` : html`request ${count(number)}`

const promptLink = ({ excerpt, key, position }: DrawRow, links: Links, run: string) =>
  link(
    links.prompt(key, { run, from: position >= 100 ? Math.floor(position / 100) * 100 : undefined }),
    excerpt ?? key.promptHash.slice(0, 8),
    { class: "excerpt" }
  )

const asked = ({ draws, from, info, problem, query, state, total }: RunData, links: Links): Html => {
  const base = links.run(info.id)
  const isFiltered = Object.values(query).some((value) => value !== "")
  const option = (value: string, text: string, chosen: string) =>
    html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`
  const form = base === undefined ? undefined : html`<form class="filters" action="${base}#asked" method="get">
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
    return html`<tr><td class="n" data-name="request">${
      number === undefined ? html`<span class="faint">–</span>` : count(number)
    }</td><td class="n faint">${duration(Math.max(0, at - state.startedAt))}</td><td>${
      outcomeBadge(outcome, draw.isRacing)
    }${
      outcome === "missed" && links.miss(info.id, row) !== undefined
      && html` <a href="${links.miss(info.id, row)}">why</a>`
    }</td><td class="wide">${promptLink(draw, links, info.id)}</td><td class="n" data-name="position">${position}${
      reader !== undefined && html`<span class="faint"> of attempt ${reader}</span>`
    }</td><td>${forkText(forkLabel(key.path))}</td><td class="faint">${modelLabel(key.identity)}</td></tr>
`
  })
  return html`${form}${problem !== undefined && html`<p class="notice">${problem}</p>`}
${
    draws.length === 0
      ? isFiltered
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
  }</dl>${
    receipt.isCut &&
    html`<p class="notice">The trace reached its greatest size: its last draws are counted here, and not listed above.</p>`
  }`

import type { Identity } from "@llm-cache/core/Identity"
import type { ListedIdentity } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { gist } from "../chat.ts"
import { type Links, numberIn, type Page, type Params } from "../context.ts"
import { ago, count, forkLabel, identityKey, isoTime, modelLabel } from "../format.ts"
import { type Html, html } from "../html.ts"
import { document, inline, tableOf } from "../markdown.ts"
import { empty, forkText, link, numeric, pager, table } from "../parts.ts"
import { excerpt } from "../visible.ts"

const size = 50

/** The most keys that are read for a page of a search. */
const mostRead = 20_000

/** A key of a listing. */
interface KeyRow {
  readonly identity: Identity
  readonly promptHash: string
  readonly excerpt: string
  readonly path: ReadonlyArray<string>
  readonly samples: number
}

export interface CacheData {
  readonly cache: string
  readonly now: number
  readonly identities: ReadonlyArray<ListedIdentity>
  readonly damaged: ReadonlyArray<string>
  readonly model: string
  readonly query: string
  readonly from: number
  readonly keys: ReadonlyArray<KeyRow>
  readonly hasMore: boolean
  readonly isCut: boolean
}

export interface CacheInput {
  readonly params: Params
  readonly now: number
}

export const cachePage: Page<CacheInput, CacheData> = {
  load: ({ store }, { now, params }) =>
    Effect.gen(function*() {
      const listed = yield* Stream.runCollect(store.identities)
      const identities = listed.filter(Result.isSuccess).map(({ success }) => success)
        .toSorted((a, b) => (b.last ?? 0) - (a.last ?? 0) || (modelLabel(a.identity) < modelLabel(b.identity) ? -1 : 1))
      const damaged = listed.filter(Result.isFailure).map(({ failure }) => failure.message)
      const model = params.get("model") ?? ""
      const query = (params.get("q") ?? "").trim()
      const from = numberIn(params, "from", 0)
      const identity = identities.find((one) => identityKey(one.identity) === model)?.identity
      const isHash = /^[0-9a-f]{4,64}$/i.test(query)
      const keys: Array<KeyRow> = []
      let found = 0
      let read = 0
      yield* Stream.runForEachWhile(
        store.keys({ identity, ...isHash && { promptHash: query.toLowerCase() } }),
        (element) =>
          Effect.sync(() => {
            read++
            if (Result.isFailure(element)) {
              if (damaged.length < 20) damaged.push(element.failure.message)
              return read < mostRead
            }
            const { key, samples } = element.success
            if (!isHash && query !== "" && !key.prompt.toLowerCase().includes(query.toLowerCase())) {
              return read < mostRead
            }
            if (found >= from && found < from + size) {
              keys.push({
                identity: key.identity,
                promptHash: key.promptHash,
                excerpt: excerpt(gist(key.prompt)),
                path: key.path,
                samples
              })
            }
            found++
            return found <= from + size && read < mostRead
          })
      )
      return {
        cache: store.id,
        now,
        identities,
        damaged,
        model: identity === undefined ? "" : model,
        query,
        from,
        keys,
        hasMore: found > from + size,
        isCut: read >= mostRead
      }
    }),
  title: () => "Cache",
  body: (data, links) => body(data, links),
  markdown: ({ cache, damaged, identities, keys }) =>
    document(
      "# Cache",
      inline(cache),
      damaged.length > 0 && "## Damage",
      damaged.length > 0 && damaged.map((message) => `- ${inline(message)}`).join("\n"),
      identities.length > 0 && tableOf(
        ["Model", "Prompts", "Samples", "Forks", "Last"],
        identities.map(({ forks, identity, last, prompts, samples }) => [
          modelLabel(identity),
          prompts,
          samples,
          forks,
          last === undefined ? "" : isoTime(last)
        ])
      ),
      keys.length > 0 && "## Prompts",
      keys.length > 0 && tableOf(
        ["Prompt", "Hash", "Fork", "Samples", "Model"],
        keys.map(({ excerpt, identity, path, promptHash, samples }) => [
          excerpt,
          promptHash.slice(0, 8),
          forkLabel(path),
          samples,
          modelLabel(identity)
        ])
      )
    ),
  json: ({ cache, damaged, from, hasMore, identities, isCut, keys }) => ({
    cache,
    identities: identities.map(({ identity, ...counts }) => ({ ...identityFields(identity), ...counts })),
    damaged,
    from,
    hasMore,
    isCut,
    keys: keys.map(({ excerpt, identity, path, promptHash, samples }) => ({
      ...identityFields(identity),
      fork: path,
      hash: promptHash,
      prompt: excerpt,
      samples
    }))
  })
}

const identityFields = ({ name, parameters, temperature }: Identity) => ({
  model: name,
  temperature: temperature ?? null,
  parameters: JSON.parse(parameters)
})

const body = (data: CacheData, links: Links): Html => {
  const { cache, damaged, from, hasMore, identities, isCut, keys, model, now, query } = data
  const sum = (of: (one: ListedIdentity) => number) => identities.reduce((sum, one) => sum + of(one), 0)
  const isFiltered = model !== "" || query !== ""
  if (identities.length === 0 && damaged.length === 0) {
    return html`<h1>Cache</h1><p class="faint">${cache}</p>${
      empty("The cache is empty.", html`<p>Run a program with it once:</p><pre>llm-cache run -- python3 agent.py</pre>`)
    }`
  }
  return html`<h1>Cache</h1>
<p class="faint">${cache}</p>
<ul class="cards">
${card("models", identities.length)}${card("prompts", sum(({ prompts }) => prompts))}${
    card("samples", sum(({ samples }) => samples))
  }
</ul>
${
    damaged.length > 0 && html`<div class="block alert"><h2>Damage</h2><ul>${
      damaged.slice(0, 20).map((message) => html`<li>${message}</li>`)
    }</ul></div>`
  }
<section class="block"><h2>Models</h2>
${
    table(
      "Models",
      [
        "Model",
        numeric("Prompts"),
        numeric("Samples"),
        numeric("Forks"),
        numeric("Tokens in"),
        numeric("Tokens out"),
        "Last"
      ],
      identities.slice(0, 200).map((one) =>
        html`<tr><td class="wide">${
          link(links.cache({ model: identityKey(one.identity) }), modelLabel(one.identity), { class: "main" })
        }</td><td class="n">${count(one.prompts)}</td><td class="n">${count(one.samples)}</td><td class="n">${
          count(one.forks)
        }</td><td class="n">${
          one.inputTokens === undefined ? html`<span class="faint">–</span>` : count(one.inputTokens)
        }</td><td class="n">${
          one.outputTokens === undefined ? html`<span class="faint">–</span>` : count(one.outputTokens)
        }</td><td>${one.last === undefined ? "" : ago(one.last, now)}</td></tr>
`
      )
    )
  }</section>
<section class="block" id="prompts"><h2>Prompts</h2>
${
    links.cache() !== undefined && html`<form class="filters" action="${links.cache()}#prompts" method="get">
<label>Model <select name="model"><option value="">all</option>${
      identities.slice(0, 100).map(({ identity }) =>
        html`<option value="${identityKey(identity)}"${identityKey(identity) === model && html` selected`}>${
          modelLabel(identity)
        }</option>`
      )
    }</select></label>
<label>Prompt <input name="q" type="search" value="${query}" placeholder="words, or the start of a hash" autocomplete="off"></label>
<button>Filter</button>${isFiltered && html` <a href="${links.cache()}#prompts">Clear</a>`}</form>`
  }
${
    isCut &&
    html`<p class="notice">The first ${
      count(mostRead)
    } keys were read: choose a model, or give the start of a hash.</p>`
  }
${
    keys.length === 0
      ? empty(
        "No prompt has all of this.",
        html`<p>Choose less, or <a href="${links.cache() ?? ""}">clear the filters</a>.</p>`
      )
      : html`${
        table(
          "Prompts",
          ["Prompt", "Hash", "Fork", numeric("Samples"), "Model"],
          keys.map((key) =>
            html`<tr><td class="wide">${
              link(links.prompt(key, key.path.length === 0 ? {} : { fork: forkLabel(key.path) }), key.excerpt, {
                class: "excerpt"
              })
            }</td><td><code>${key.promptHash.slice(0, 8)}</code></td><td>${
              forkText(forkLabel(key.path))
            }</td><td class="n">${count(key.samples)}</td><td class="faint">${modelLabel(key.identity)}</td></tr>
`
          )
        )
      }${
        pager({ from, count: size, total: undefined, hasMore }, (from) => {
          const href = links.cache({ model, q: query, from })
          return href && `${href}#prompts`
        })
      }`
  }</section>`
}

const card = (name: string, n: number): Html =>
  html`<li class="card"><span class="label">${name}</span><span class="number">${count(n)}</span></li>`

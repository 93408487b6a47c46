import * as Explain from "@llm-cache/core/Explain"
import type { Identity } from "@llm-cache/core/Identity"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { gist } from "../chat.ts"
import { type Links, numberIn, type Page, type Params } from "../context.ts"
import { count, forkLabel, forkName, identityKey, letters, modelLabel, plural, ranges } from "../format.ts"
import { type Html, html, shown } from "../html.ts"
import { differencesView, empty, link, mostOfPrompt, pager, promptStart, promptView } from "../parts.ts"
import { excerpt } from "../visible.ts"
import { pictureOf } from "./picture.ts"
import { type Group, nameOf, type PromptData, type Sequence } from "./promptData.ts"
import { samplesForm, wholeSample } from "./promptSamples.ts"
import { answersTitle, equalWords, promptJson, promptMarkdown } from "./promptTexts.ts"

/** The most positions of a page, and the most forks. */
export const size = 100
const mostForks = 12

/** The name of the prompt where a sample may be named, see `whole`. */
const ofPrompt = "prompt"

export interface PromptInput {
  readonly hash: string
  readonly params: Params
  readonly now: number
}

export const promptPage: Page<PromptInput, PromptData> = {
  load: ({ indexes, store, texts }, { hash, now, params }) =>
    Effect.gen(function*() {
      if (!/^[0-9a-f]{64}$/.test(hash)) return undefined
      const { damaged, keys: stored } = yield* texts.keysOf(hash)
      const read = yield* Effect.forEach(params.getAll("run").slice(0, 4), (id) =>
        indexes.open(id).pipe(
          Effect.tap((trace) => trace === undefined ? Effect.void : trace.refresh),
          Effect.result
        ))
      const traces = read.map((trace) => Result.isSuccess(trace) ? trace.success : undefined)
      const problems = [
        ...damaged,
        ...read.flatMap((trace) => Result.isFailure(trace) ? [trace.failure.message] : []),
        ...traces.flatMap((trace) =>
          trace?.index.state().receipt.isCut
            ? [
              `The trace of ${trace.index.state().name} reached its greatest size: its last draws are not in the picture.`
            ]
            : []
        )
      ]
      const ofRuns = traces.flatMap((trace) => trace?.index.state().identities ?? [])
      const identities = distinct([...stored.map(({ key }) => key.identity), ...ofRuns])
      const identity = identities.find((one) => identityKey(one) === params.get("model")) ?? identities[0]
      if (identity === undefined) {
        // The folder or row of the prompt is there, and says which file is damaged.
        return damaged.length === 0 ? undefined : yield* Stream.runHead(store.keys({ promptHash: hash })).pipe(
          Effect.flatMap(Option.match({
            onNone: () => Effect.undefined,
            onSome: Result.match({ onFailure: Effect.fail, onSuccess: () => Effect.undefined })
          }))
        )
      }
      const ofIdentity = stored.filter(({ key }) => key.identity.id === identity.id)
        .toSorted((a, b) =>
          a.key.path.length - b.key.path.length || (forkLabel(a.key.path) < forkLabel(b.key.path) ? -1 : 1)
        )
      const whole = params.get("whole") ?? undefined
      const [wholePosition, wholeFork = ""] = whole?.split(/@(.*)/s) ?? []
      const isOne = whole !== undefined && whole !== ofPrompt
      const fork = isOne ? wholeFork : params.get("fork") ?? undefined
      const chosen = (fork === undefined
        ? ofIdentity
        : ofIdentity.filter(({ key }) => forkLabel(key.path) === fork)).slice(0, mostForks)
      const from = isOne ? /^\d{1,9}$/.test(wholePosition!) ? Number(wholePosition) : -1 : numberIn(params, "from", 0)
      const found = yield* Effect.forEach(chosen, ({ key }) => texts.samples(key, from, isOne ? 1 : size))
      const ends = found.map(({ end }) => end)
      const groupOf = new Map<string, number>()
      const counts: Array<{ readonly text: string; count: number }> = []
      const sequences = chosen.map(({ key, samples: total }, i): Sequence => ({
        path: key.path,
        total,
        damaged: found[i]!.damaged,
        samples: Array.from(found[i]!.samples, ([position, drawn]) => {
          let group = groupOf.get(drawn.text)
          if (group === undefined) {
            groupOf.set(drawn.text, group = counts.push({ text: drawn.text, count: 0 }) - 1)
          }
          counts[group]!.count++
          return { position, drawn, group }
        })
      }))
      if (isOne && sequences.every(({ damaged, samples }) => damaged.length + samples.length === 0)) return undefined
      const told = yield* Effect.forEach(
        traces,
        (trace) =>
          trace === undefined ? Effect.undefined : trace.index.promptText({ identity, promptHash: hash, path: [] })
      )
      return {
        hash,
        identity,
        identities: distinct(stored.map(({ key }) => key.identity)),
        prompt: stored[0]?.key.prompt ?? told.find((text) => text !== undefined),
        isStored: ofIdentity.length > 0,
        fork,
        forks: ofIdentity.length,
        sequences,
        groups: counts,
        from,
        total: Math.max(0, ...ends),
        runs: traces.flatMap((trace) =>
          trace === undefined
            ? []
            : [{ id: trace.run.id, taken: trace.index.taken(identity, hash, from, size) }]
        ),
        now,
        whole,
        problems,
        compared: comparedOf(sequences, params)
      }
    }),
  title: ({ prompt, hash }) => prompt === undefined ? hash.slice(0, 8) : excerpt(gist(prompt), 60),
  body: (data, links) => body(data, links),
  markdown: promptMarkdown,
  json: promptJson
}

const distinct = (identities: ReadonlyArray<Identity>): ReadonlyArray<Identity> => [
  ...new Map(identities.map((one) => [one.id, one])).values()
]

const comparedOf = (sequences: ReadonlyArray<Sequence>, params: Params): PromptData["compared"] => {
  const find = (name: string | null) =>
    sequences.flatMap(({ path, samples }) => samples.filter(({ position }) => nameOf(path, position) === name))[0]
  const [a, b] = [params.get("a"), params.get("b")]
  const [one, other] = [find(a), find(b)]
  if (one === undefined || other === undefined) return undefined
  return {
    a: a!,
    b: b!,
    isEqual: one.drawn.text === other.drawn.text,
    differences: Explain.differences(one.drawn.text, other.drawn.text)
  }
}

const body = (data: PromptData, links: Links): Html => {
  const { compared, fork, forks, from, groups, identity, isStored, problems, prompt, runs, sequences, total } = data
  const shownSamples = sequences.reduce((sum, { samples }) => sum + samples.length, 0)
  const runQuery = runs[0] === undefined ? {} : { run: runs[0].id }
  const href = (query: { readonly [name: string]: string | number | undefined }) =>
    links.prompt({ identity, promptHash: data.hash }, { ...runQuery, fork, ...query })
  if (data.whole !== undefined) {
    const back = html`<p>${link(href({ fork: undefined }), "All samples of the prompt")}</p>`
    return data.whole === ofPrompt
      ? html`<h1>What was asked</h1>${back}${promptView(prompt ?? "")}`
      : html`<h1>Sample ${data.whole}</h1>${back}${wholeSample(data)}`
  }
  const isLong = prompt !== undefined && prompt.length > 1500
  const whole = href({ whole: ofPrompt })
  const isVeryLong = prompt !== undefined && prompt.length > mostOfPrompt && whole !== undefined
  const equal = equalWords(groups)
  return html`<div class="title"><h1>Prompt <code>${data.hash.slice(0, 8)}</code></h1></div>
<p class="faint">${modelLabel(identity)}${
    data.identities.length > 1 && html` · also of ${
      data.identities.filter(({ id }) => id !== identity.id).slice(0, 5).map((one, i) =>
        html`${i > 0 && ", "}${link(links.prompt({ identity: one, promptHash: data.hash }, runQuery), modelLabel(one))}`
      )
    }`
  }</p>
${problems.map((problem) => html`<p class="notice problem">${problem}</p>`)}
<section class="block"><h2>What was asked</h2>${
    prompt === undefined
      ? empty(
        "Nobody has the text of this prompt.",
        html`<p>The cache does not have it any more, and the trace has its hash alone. Open the cache that the run used.</p>`
      )
      : isVeryLong
      ? promptStart(prompt, whole)
      : isLong
      ? html`<details class="long"><summary>${excerpt(prompt, 300)} <span class="faint">${
        count(prompt.length)
      } characters</span></summary>${promptView(prompt)}</details>`
      : promptView(prompt)
  }${parametersView(identity)}</section>
${
    (runs.length > 0 || shownSamples > 0) && html`<section class="block" id="picture"><h2>Who took what</h2>
${pictureOf(data)}</section>`
  }
${
    !isStored
      ? problems.length === 0 && empty(
        "The cache has no samples of this prompt.",
        html`<p>Run the program without <code>--replication</code> once, and they are requested and stored.</p>`
      )
      : html`<section class="block" id="answers"><h2>${answersTitle(groups, shownSamples)}</h2>
${equal !== undefined && html`<p class="equal">${equal}</p>`}
${distinctView(sequences, groups)}</section>
${compared && comparedView(compared)}
<section class="block" id="samples"><h2>Samples</h2>
<p class="faint">${plural(total, "position")}${forks > 1 && html`, ${plural(forks, "fork")}`}${
        from > 0 || total > size ? html`; positions ${from} to ${from + size - 1} are shown` : ""
      }</p>
${
        forks > 1 && href({}) !== undefined &&
        html`<p class="forknav">Fork: ${link(href({ fork: undefined }), "all")} ${
          sequences.map(({ path }) =>
            html`${link(href({ fork: forkLabel(path) }), path.length === 0 ? "outside of forks" : forkLabel(path))} `
          )
        }${
          forks > mostForks && fork === undefined && html`<span class="faint">and ${forks - mostForks} more</span>`
        }</p>`
      }
${samplesForm(data, links)}
${pager({ from, count: size, total, hasMore: from + size < total }, (from) => href({ from }))}</section>`
  }`
}

const parametersView = (identity: Identity): Html | undefined =>
  identity.parameters === "{}"
    ? undefined
    : html`<details class="folded"><summary>parameters</summary><div class="text">${
      shown(JSON.stringify(JSON.parse(identity.parameters), undefined, 2))
    }</div></details>`

const distinctView = (sequences: ReadonlyArray<Sequence>, groups: ReadonlyArray<Group>): Html => {
  const total = groups.reduce((sum, group) => sum + group.count, 0)
  const ranked = groups.map((group, i) => ({ ...group, i })).toSorted((a, b) => b.count - a.count)
  return html`<ol class="groups">${
    ranked.slice(0, 20).map(({ count: n, i, text }) =>
      html`<li><span class="letter g${i % 8}">${
        letters(i)
      }</span><span class="n">${n} of ${total}</span><svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect width="${
        (n / total * 100).toFixed(1)
      }" height="8"/></svg><span class="what">${
        text === "" ? html`<span class="faint">(empty)</span>` : shown(excerpt(text, 160))
      }</span><span class="faint where">${
        sequences.flatMap(({ path, samples }) => {
          const positions = samples.filter(({ group }) => group === i).map(({ position }) =>
            position
          )
          return positions.length === 0
            ? []
            : [`${path.length === 0 ? "" : `${forkName(path)}: `}${ranges(positions)}`]
        }).join("; ")
      }</span></li>`
    )
  }</ol>${ranked.length > 20 && html`<p class="faint">and ${ranked.length - 20} more</p>`}`
}

const comparedView = ({ a, b, differences, isEqual }: NonNullable<PromptData["compared"]>): Html =>
  html`<section class="block" id="compared"><h2>Samples ${a} and ${b}, by word</h2>${
    isEqual
      ? html`<p>They are equal.</p>`
      : html`${differencesView(differences)}<p class="legend"><del>only ${a}</del> <ins>only ${b}</ins></p>`
  }</section>`

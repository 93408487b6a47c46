import type { Difference } from "@llm-cache/core/Explain"
import * as Explain from "@llm-cache/core/Explain"
import type { Identity } from "@llm-cache/core/Identity"
import type { Drawn } from "@llm-cache/core/Sample"
import type { Taken } from "@llm-cache/core/TraceIndex"
import * as Effect from "effect/Effect"
import { gist } from "../chat.ts"
import { type Links, numberIn, type Page, type Params } from "../context.ts"
import { ago, count, forkLabel, identityKey, letters, modelLabel, nameOfRun, plural, ranges } from "../format.ts"
import { type Html, html, shown } from "../html.ts"
import { document, fence, inline, tableOf } from "../markdown.ts"
import { differencesView, empty, link, pager, promptView, sampleParts } from "../parts.ts"
import { excerpt } from "../visible.ts"
import { pictureOf, readersOf } from "./picture.ts"

/** The most positions of a page, and the most forks. */
export const size = 100
const mostForks = 12

/** The most characters of a sample that are shown at first. */
const mostShown = 1200

/** A sample of a sequence. */
export interface ShownSample {
  readonly position: number
  readonly drawn: Drawn
  /** The number of its text among the different texts of the page. */
  readonly group: number
}

/** A sequence of a prompt, as one fork has it. */
export interface Sequence {
  readonly path: ReadonlyArray<string>
  /** How many samples it has in all. */
  readonly total: number
  readonly samples: ReadonlyArray<ShownSample>
  readonly damaged: ReadonlyArray<string>
}

/** Equal texts. */
export interface Group {
  readonly text: string
  readonly count: number
}

/** The samples that a run took. */
export interface RunTaken {
  readonly id: string
  readonly taken: ReadonlyArray<Taken>
}

export interface PromptData {
  readonly hash: string
  readonly identity: Identity
  readonly identities: ReadonlyArray<Identity>
  /** `undefined` if neither the cache nor a trace has it. */
  readonly prompt: string | undefined
  readonly isStored: boolean
  readonly fork: string | undefined
  readonly forks: number
  readonly sequences: ReadonlyArray<Sequence>
  readonly groups: ReadonlyArray<Group>
  readonly from: number
  /** One more than the last position of all sequences. */
  readonly total: number
  readonly runs: ReadonlyArray<RunTaken>
  readonly now: number
  readonly compared:
    | {
      readonly a: string
      readonly b: string
      readonly differences: ReadonlyArray<Difference>
      readonly isEqual: boolean
    }
    | undefined
}

export interface PromptInput {
  readonly hash: string
  readonly params: Params
  readonly now: number
}

export const promptPage: Page<PromptInput, PromptData> = {
  load: ({ indexes, texts }, { hash, now, params }) =>
    Effect.gen(function*() {
      if (!/^[0-9a-f]{64}$/.test(hash)) return undefined
      const stored = yield* texts.keysOf(hash)
      const traces = yield* Effect.forEach(
        params.getAll("run").slice(0, 4),
        (id) => Effect.tap(indexes.open(id), (trace) => trace === undefined ? Effect.void : trace.refresh)
      )
      const ofRuns = traces.flatMap((trace) => trace?.index.state().identities ?? [])
      const identities = distinct([...stored.map(({ key }) => key.identity), ...ofRuns])
      const identity = identities.find((one) => identityKey(one) === params.get("model")) ?? identities[0]
      if (identity === undefined) return undefined
      const ofIdentity = stored.filter(({ key }) => key.identity.id === identity.id)
        .toSorted((a, b) =>
          a.key.path.length - b.key.path.length || (forkLabel(a.key.path) < forkLabel(b.key.path) ? -1 : 1)
        )
      const fork = params.get("fork") ?? undefined
      const chosen = (fork === undefined
        ? ofIdentity
        : ofIdentity.filter(({ key }) => forkLabel(key.path) === fork)).slice(0, mostForks)
      const from = numberIn(params, "from", 0)
      const found = yield* Effect.forEach(chosen, ({ key }) => texts.samples(key, from, size))
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
        compared: comparedOf(sequences, params)
      }
    }),
  title: ({ prompt, hash }) => prompt === undefined ? hash.slice(0, 8) : excerpt(gist(prompt), 60),
  body: (data, links) => body(data, links),
  markdown: (data) => markdownOf(data),
  json: (data) => ({
    hash: data.hash,
    model: data.identity.name,
    temperature: data.identity.temperature ?? null,
    parameters: JSON.parse(data.identity.parameters),
    prompt: data.prompt ?? null,
    isStored: data.isStored,
    from: data.from,
    total: data.total,
    distinct: data.groups.map(({ count, text }) => ({ count, text })),
    sequences: data.sequences.map(({ damaged, path, samples, total }) => ({
      fork: path,
      total,
      damaged,
      samples: samples.map(({ drawn, group, position }) => ({
        position,
        distinct: group,
        text: drawn.text,
        metadata: drawn.metadata
      }))
    })),
    runs: data.runs.map(({ id, taken }) => ({
      run: id,
      readers: readersOf(taken).map(({ label, path, taken }) => ({
        reader: label,
        fork: path,
        positions: taken.map(({ position }) => position)
      }))
    })),
    compared: data.compared ?? null
  })
}

const distinct = (identities: ReadonlyArray<Identity>): ReadonlyArray<Identity> => [
  ...new Map(identities.map((one) => [one.id, one])).values()
]

/** A sample in a query, such as `3` or `3@worker-1`. */
const nameOf = (path: ReadonlyArray<string>, position: number): string =>
  path.length === 0 ? `${position}` : `${position}@${forkLabel(path)}`

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
  const { compared, fork, forks, from, groups, identity, isStored, prompt, runs, sequences, total } = data
  const shownSamples = sequences.reduce((sum, { samples }) => sum + samples.length, 0)
  const runQuery = runs[0] === undefined ? {} : { run: runs[0].id }
  const href = (query: { readonly [name: string]: string | number | undefined }) =>
    links.prompt({ identity, promptHash: data.hash }, { ...runQuery, fork, ...query })
  const isLong = prompt !== undefined && prompt.length > 1500
  return html`<div class="title"><h1>Prompt <code>${data.hash.slice(0, 8)}</code></h1></div>
<p class="faint">${modelLabel(identity)}${
    data.identities.length > 1 && html` · also of ${
      data.identities.filter(({ id }) => id !== identity.id).slice(0, 5).map((one, i) =>
        html`${i > 0 && ", "}${link(links.prompt({ identity: one, promptHash: data.hash }, runQuery), modelLabel(one))}`
      )
    }`
  }</p>
<section class="block"><h2>What was asked</h2>${
    prompt === undefined
      ? empty(
        "Nobody has the text of this prompt.",
        html`<p>The cache does not have it any more, and the trace has its hash alone. Open the cache that the run used.</p>`
      )
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
      ? empty(
        "The cache has no samples of this prompt.",
        html`<p>Run the program without <code>--replication</code> once, and they are requested and stored.</p>`
      )
      : html`<section class="block" id="answers"><h2>${answersTitle(groups, shownSamples)}</h2>
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

const answersTitle = (groups: ReadonlyArray<Group>, samples: number): string =>
  groups.length === samples
    ? samples === 1 ? "One answer" : `${count(samples)} answers, all different`
    : `${plural(groups.length, "different answer")} in ${plural(samples, "sample")}`

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
            : [`${path.length === 0 ? "" : `${forkLabel(path)}: `}${ranges(positions)}`]
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

const samplesForm = (data: PromptData, links: Links): Html => {
  const { compared, fork, from, identity, now, runs, sequences } = data
  const target = links.prompt({ identity, promptHash: data.hash })
  const isSeveral = sequences.length > 1
  const first = sequences.flatMap(({ path, samples }) => samples.map(({ position }) => nameOf(path, position)))
  const columns = sequences.map(({ damaged, path, samples }) =>
    html`<section class="sequence"${isSeveral && html` aria-label="${forkLabel(path) || "outside of forks"}"`}>${
      isSeveral && html`<h3>${path.length === 0 ? "outside of forks" : forkLabel(path)}</h3>`
    }${damaged.map((text) => html`<p class="notice">${text}</p>`)}
<ol class="samples">${
      samples.map(({ drawn, group, position }) => {
        const name = nameOf(path, position)
        const radio = (side: "a" | "b") =>
          html`<label><input type="radio" name="${side}" value="${name}"${
            (compared?.[side] ?? first[side === "a" ? 0 : 1]) === name && html` checked`
          }> <span>${side === "a" ? "Left" : "Right"}</span><span class="sr"> is sample ${name}</span></label>`
        return html`<li class="sample" id="sample-${name}"><div class="about"><strong>${position}</strong> <span class="letter g${
          group % 8
        }" title="answer ${letters(group)}">${letters(group)}</span><span class="faint">${about(drawn, now)}</span>${
          target !== undefined && first.length > 1 && html`<span class="ab">${radio("a")} ${radio("b")}</span>`
        }</div>${textView(drawn.text)}${sampleParts(drawn.metadata)}</li>`
      })
    }</ol></section>`
  )
  const content = html`<div class="${isSeveral ? "sequences" : "one"}">${columns}</div>`
  if (target === undefined || first.length < 2) return content
  return html`<form action="${target.replace(/\?.*/, "")}#compared" method="get">
<input type="hidden" name="model" value="${identityKey(identity)}">${
    runs.map(({ id }) => html`<input type="hidden" name="run" value="${id}">`)
  }${fork !== undefined && html`<input type="hidden" name="fork" value="${fork}">`}${
    from > 0 && html`<input type="hidden" name="from" value="${from}">`
  }
<p class="actions"><button>Compare left with right by word</button></p>
${content}</form>`
}

const textView = (text: string): Html =>
  text === ""
    ? html`<p class="faint">(empty)</p>`
    : text.length <= mostShown
    ? html`<div class="text">${shown(text)}</div>`
    : html`<details class="long"><summary><span class="text">${
      shown(text.slice(0, 400).toWellFormed())
    }…</span> <span class="faint">${count(text.length)} characters</span></summary><div class="text">${
      shown(text)
    }</div></details>`

const about = ({ metadata }: Drawn, now: number): string => {
  const { createdAt, finishReason, inputTokens, outputTokens } = metadata
  return [
    finishReason === undefined || finishReason === "stop" ? "" : finishReason,
    inputTokens === undefined && outputTokens === undefined
      ? ""
      : `${count(inputTokens ?? 0)}/${count(outputTokens ?? 0)} tokens`,
    createdAt === undefined ? "" : ago(createdAt, now)
  ].filter((text) => text !== "").join(", ")
}

const markdownOf = ({ compared, groups, hash, identity, prompt, runs, sequences }: PromptData): string =>
  document(
    `# Prompt ${hash.slice(0, 8)}`,
    inline(modelLabel(identity)),
    prompt === undefined ? "Nobody has its text." : fence(prompt),
    ...runs.flatMap(({ id, taken }) => [
      `## ${inline(nameOfRun(id))}`,
      tableOf(
        ["Reader", "Fork", "Positions"],
        readersOf(taken).map(({ label, path, taken }) => [
          label,
          forkLabel(path),
          ranges(taken.map(({ position }) => position))
        ])
      )
    ]),
    groups.length > 0 && `## ${answersTitle(groups, groups.reduce((sum, group) => sum + group.count, 0))}`,
    groups.length > 0 && tableOf(
      ["Answer", "Count", "Text"],
      groups.map((group, i) => [letters(i), group.count, excerpt(group.text, 160)])
    ),
    compared && `## Samples ${inline(compared.a)} and ${inline(compared.b)}`,
    compared && fence(
      compared.isEqual
        ? "equal"
        : compared.differences.flatMap(({ edits }) => edits).map(({ kind, text }) =>
          kind === "stored" ? `[-${text}-]` : kind === "asked" ? `{+${text}+}` : text
        ).join("")
    ),
    ...sequences.flatMap(({ path, samples }) => [
      `## ${path.length === 0 ? "Samples" : `Samples of the fork ${inline(forkLabel(path))}`}`,
      ...samples.flatMap(({ drawn, position }) => [`### ${position}`, fence(drawn.text)])
    ])
  )

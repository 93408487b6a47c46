import type { Counts, ForkCounts } from "@llm-cache/core/TraceIndex"
import { count, forkLabel, plural } from "../format.ts"
import { type Html, html } from "../html.ts"
import { counted, link } from "../parts.ts"

/** The most forks that are shown inside of one. */
const most = 50

/** The most levels. Deeper forks are counted in the last one. */
const deepest = 20

/** A fork with the forks inside. The counts are those of all. */
export interface ForkNode {
  readonly name: string
  readonly path: ReadonlyArray<string>
  readonly counts: Counts
  readonly inside: ReadonlyArray<ForkNode>
  /** How many forks inside are left out. */
  readonly others: number
}

interface Growing {
  readonly path: ReadonlyArray<string>
  readonly own: Counts[]
  readonly inside: Map<string, Growing>
}

/** The tree of forks. */
export const forkTree = (forks: ReadonlyArray<ForkCounts>): ForkNode => {
  const root: Growing = { path: [], own: [], inside: new Map() }
  for (const { path, ...counts } of forks) {
    let node = root
    path.slice(0, deepest).forEach((name, i) => {
      const next = node.inside.get(name) ?? { path: path.slice(0, i + 1), own: [], inside: new Map() }
      node.inside.set(name, next)
      node = next
    })
    node.own.push(counts)
  }
  return finished(root)
}

const finished = ({ inside, own, path }: Growing): ForkNode => {
  const all = [...inside.values()].map(finished)
  return {
    name: path.at(-1) ?? "",
    path,
    counts: [...own, ...all.map(({ counts }) => counts)].reduce(add, nothing),
    inside: all.slice(0, most),
    others: Math.max(0, all.length - most)
  }
}

const nothing: Counts = {
  asked: 0,
  replayed: 0,
  bought: 0,
  missed: 0,
  racing: 0,
  failed: 0,
  spentTokens: 0,
  replayedTokens: 0
}

const add = (one: Counts, other: Counts): Counts => ({
  asked: one.asked + other.asked,
  replayed: one.replayed + other.replayed,
  bought: one.bought + other.bought,
  missed: one.missed + other.missed,
  racing: one.racing + other.racing,
  failed: one.failed + other.failed,
  spentTokens: one.spentTokens + other.spentTokens,
  replayedTokens: one.replayedTokens + other.replayedTokens
})

/** The tree as nested lists that open. */
export const forksView = (root: ForkNode, href: (path: ReadonlyArray<string>) => string | undefined): Html =>
  html`<ul class="forks">${item(root, href, true)}</ul>`

const item = (
  node: ForkNode,
  href: (path: ReadonlyArray<string>) => string | undefined,
  isOpen: boolean
): Html => {
  const { counts, inside, name, others, path } = node
  const label = html`${
    link(
      path.length === 0 ? undefined : href(path),
      path.length === 0 ? "the whole run" : /^\d+$/.test(name) ? `fork ${name}` : name
    )
  }
<span class="faint">${count(counts.asked)} asked</span>${mark("replayed", counts.replayed)}${
    mark("bought", counts.bought)
  }${mark("missed", counts.missed)}${mark("racing", counts.racing)}${mark("failed", counts.failed)}`
  return inside.length === 0
    ? html`<li>${label}</li>`
    // A summary is a button: a link in it would be out of reach for screen readers.
    : html`<li>${label}<details id="fork-${forkLabel(path)}"${isOpen && html` open`}><summary>${
      plural(inside.length + others, "fork")
    } inside</summary><ul>${inside.map((one) => item(one, href, inside.length <= 6))}${
      others > 0 && html`<li class="faint">and ${count(others)} more</li>`
    }</ul></details></li>`
}

const mark = (name: string, n: number) => n > 0 && html` <span class="mark ${name}">${counted(n)} ${name}</span>`

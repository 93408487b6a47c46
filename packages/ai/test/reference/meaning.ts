// The meaning of programs of `effect/ai`, without Effect: each call takes one sample of its request.
import { build, show, take } from "../../../testing/src/internal/programs/interpreter.ts"
import { Provider, type Samples } from "../../../testing/src/internal/programs/models.ts"
import type { Call, Outcome, Program, Result } from "./program.ts"

/** A text that can be a part of a request's name. */
export const plain = (text: string): string => text.replaceAll(/[@#/]/g, "~")

/** The name of a request: texts and streams of a prompt have one. */
export const nameOf = (kind: Call["kind"], prompt: string): string =>
  kind === "object" || kind === "tools" ? `${prompt} ${kind}` : prompt

export const afterTools = (prompt: string, answer: string, results: ReadonlyArray<string>): string =>
  `${prompt} after ${plain(answer)} ${results.map(plain).join(" ")}`

export const inFork = (path: string, name: string): string => path === "" ? name : `${path}/${name}`

/** The order of requests: those at once are sent in any. */
export const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The calls of an answer that has tools. */
export const toolIds = ["c1", "c2"] as const

export const meaningOf = (program: Program): Outcome => {
  const sizes = { ...program, maxBatch: 1, extra: 0, steps: [] }
  const provider = new Provider(sizes)
  const stores = program.stack.map(() => new Map<string, Samples>())
  let models = build(program.stack, provider, stores)

  const ask = (prompt: string, path: string, level: number, isInterrupted = false) => {
    const one = take(models, provider, { batch: 1, level, many: true, n: 1, path, prompt }, isInterrupted)
    return typeof one === "string" ? one : { text: one[0]! }
  }

  const call = ({ kind, level, path, prompt }: Omit<Call, "path"> & { readonly path: string }): Result => {
    const first = ask(nameOf(kind, prompt), path, level, kind === "interrupted")
    if (kind !== "tools" || typeof first === "string") return typeof first === "string" ? first : first.text
    const subs = toolIds.map((id) => ask("sub", inFork(path, `tool ask ${id}`), level))
    if (subs.includes("failed")) return "failed"
    const results = subs.map((sub) => typeof sub === "string" ? sub : sub.text)
    const last = ask(afterTools(prompt, first.text, results), path, level)
    return typeof last === "string" ? last : last.text
  }

  const steps = program.steps.map((step) => {
    provider.requests.length = 0
    let results: ReadonlyArray<Result> = []
    if (step.do === "calls") results = step.calls.map((one, i) => call({ ...one, path: inFork(one.path, `${i}`) }))
    else if (step.do === "call") results = [call(step.call)]
    else if (step.do === "fail") provider.failures.set(step.path, 1)
    else models = build(program.stack, provider, stores)
    return { results, requests: provider.requests.toSorted(order) }
  })
  return {
    steps,
    stores: stores.filter((_, i) => program.stack[i] === "Persistent").map(show)
  }
}

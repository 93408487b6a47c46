/**
 * A reporter for Vitest: one line at the end of a run, with the requests, the tokens and the cost of all cassettes.
 *
 * **When to use**
 *
 * Name it beside the reporter of your choice, and name the setup that counts:
 *
 * ```ts
 * import { defineConfig } from "vitest/config"
 *
 * export default defineConfig({
 *   test: {
 *     setupFiles: ["@llm-cache/testing/vitest"],
 *     reporters: ["default", ["@llm-cache/testing/Reporter", { prices: { "gpt-4o-mini": { input: 0.15, output: 0.6 } } }]]
 *   }
 * })
 * ```
 *
 * ```text
 * llm-cache  2 requests, 41 replayed; 1,204 tokens spent, 18,204 avoided; cost $0.0004, $0.0071 avoided
 * ```
 *
 * Below it, it names the unfinished recordings of tests that failed.
 *
 * @since 0.1.0
 */
import type { Price } from "@llm-cache/core/Usage"
import * as Fs from "node:fs"
import { variable } from "./internal/cassette/mode.ts"
import { shown } from "./internal/cassette/place.ts"
import { addTallies, addTokens, noTally, type Tally, type Tokens } from "./internal/cassette/tally.ts"

/**
 * Options of the reporter.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The prices of models, in dollars per million tokens. The name of a model is its alias, if it has one. Without the price of a
   * model the line has no cost.
   *
   * @default {}
   */
  readonly prices?: { readonly [model: string]: Price } | undefined
}

/** The part of Vitest's modules that is read: `meta` is a method in some versions. */
interface TestModule {
  readonly meta?: () => object
  readonly task?: { readonly meta: object }
}

/**
 * The reporter.
 *
 * @category reporters
 * @since 0.1.0
 */
export default class Reporter {
  readonly #prices: NonNullable<Options["prices"]>

  constructor({ prices = {} }: Options = {}) {
    this.#prices = prices
  }

  /** Prints the line, if a test had a cassette, and the unfinished recordings. */
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const tallies = modules.flatMap((module) => {
      const meta: { readonly llmCache?: Tally } = module.meta?.() ?? module.task?.meta ?? {}
      return meta.llmCache ?? []
    })
    if (tallies.length === 0) return
    const tally = tallies.reduce(addTallies, noTally)
    process.stdout.write(`\n${[lineOf(tally, this.#prices), ...unfinishedLines(tally)].join("\n")}\n`)
  }
}

/**
 * The line of a tally.
 *
 * @category reporters
 * @since 0.1.0
 */
export const lineOf = (tally: Omit<Tally, "unfinished">, prices: NonNullable<Options["prices"]>): string => {
  const [spent, avoided] = [sum(tally.spent), sum(tally.avoided)]
  const known = [...Object.keys(tally.spent), ...Object.keys(tally.avoided)].every((model) => model in prices)
  const parts = [
    `${count(spent.requests)} ${spent.requests === 1 ? "request" : "requests"}, ${count(tally.replayed)} replayed`,
    `${count(spent.inputTokens + spent.outputTokens)} tokens spent, ${
      count(avoided.inputTokens + avoided.outputTokens)
    } avoided`,
    ...known ? [`cost ${costOf(tally.spent, prices)}, ${costOf(tally.avoided, prices)} avoided`] : []
  ]
  return `llm-cache  ${parts.join("; ")}`
}

const unfinishedLines = (tally: Tally): ReadonlyArray<string> => {
  // A retry may have finished it.
  const unfinished = tally.unfinished.filter((file) => Fs.existsSync(file))
  return unfinished.length === 0 ? [] : [
    `Unfinished recordings of tests that failed. ${variable}=update goes on with them; to pay again, delete them:`,
    ...unfinished.map((file) => `  ${shown(file)}`)
  ]
}

const sum = (models: Tally["spent"]): Tokens =>
  Object.values(models).reduce<Tokens>((one, other) => addTokens(one, other), {
    requests: 0,
    inputTokens: 0,
    outputTokens: 0
  })

const costOf = (models: Tally["spent"], prices: NonNullable<Options["prices"]>): string => {
  let cost = 0
  for (const [model, { inputTokens, outputTokens }] of Object.entries(models)) {
    const { input, output } = prices[model]!
    cost += (inputTokens * input + outputTokens * output) / 1e6
  }
  return `$${cost.toFixed(4)}`
}

const count = (value: number): string => value.toLocaleString("en-US")

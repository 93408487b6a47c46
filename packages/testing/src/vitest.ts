/**
 * Sets Vitest up: give `@llm-cache/testing/vitest` to `setupFiles`. It adds the `Matchers` to `expect`, and counts for the `Reporter`.
 *
 * @since 0.1.0
 */
import { afterAll, expect } from "vitest"
import { addTallies, noTally, tallies, type Tally } from "./internal/cassette/tally.ts"
import { matchers } from "./Matchers.ts"

declare global {
  // `Matchers` of Vitest has other type parameters in version 5 than before. Assertions of every version extend those of Chai.
  namespace Chai {
    interface Assertion {
      toHaveAsked: (prompt: string | RegExp) => void
      toHaveDrawn: (samples: number) => void
      toBeReplay: () => void
    }
  }
}

declare module "vitest" {
  interface TaskMeta {
    llmCache?: Tally
  }
}

expect.extend(matchers)

let tally: Tally = noTally
const listen = (message: unknown): void => {
  tally = addTallies(tally, message as Tally)
}
tallies.subscribe(listen)

// The file is the second argument, in earlier versions the first. Vitest reads the names of declared ones.
afterAll(function() {
  tallies.unsubscribe(listen)
  const file = Array.from<unknown>(arguments).find(isFile)
  if (file !== undefined && tally !== noTally) file.meta.llmCache = tally
})

const isFile = (value: unknown): value is { meta: { llmCache?: Tally } } =>
  typeof value === "object" && value !== null && "filepath" in value && "meta" in value

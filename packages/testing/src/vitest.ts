/**
 * Sets Vitest up: give `@llm-cache/testing/vitest` to `setupFiles`. It adds the `Matchers` to `expect`, counts for the `Reporter`, and
 * tells a cassette of several tests, as in `it.layer`, that one of them failed.
 *
 * @since 0.1.0
 */
import { afterAll, afterEach, beforeEach, expect } from "vitest"
import { type Opened, opened } from "./internal/cassette/opened.ts"
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

interface Test {
  readonly result?: { readonly state?: string } | undefined
}
const running = new Set<Test>()
const openCassettes = new Set<Set<Test>>()

const listenToCassette = (message: unknown): void => {
  const first = [...running]
  const tests = new Set(first)
  openCassettes.add(tests)
  ;(message as Opened).hasFailedTest = () => {
    openCassettes.delete(tests)
    const isInTest = first.some((test) => running.has(test))
    return !isInTest && [...tests].some(({ result }) => result?.state === "fail")
  }
}
opened.subscribe(listenToCassette)

beforeEach(({ task }) => {
  running.add(task)
  for (const tests of openCassettes) tests.add(task)
})
afterEach(({ task }) => void running.delete(task))

// The file is the second argument, in earlier versions the first. Vitest reads the names of declared ones.
afterAll(function() {
  tallies.unsubscribe(listen)
  opened.unsubscribe(listenToCassette)
  const file = Array.from<unknown>(arguments).find(isFile)
  if (file !== undefined && tally !== noTally) file.meta.llmCache = tally
})

const isFile = (value: unknown): value is { meta: { llmCache?: Tally } } =>
  typeof value === "object" && value !== null && "filepath" in value && "meta" in value

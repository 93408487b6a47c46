/** A page that is left open. `LLM_CACHE_PAGE_EVENTS` is the number of events. */
import { assert, it } from "@effect/vitest"
import { Trace } from "@llm-cache/core"
import { Deferred, Effect, Schedule } from "effect"
import type { Page } from "playwright-core"
import { openBrowser } from "./support/browser.ts"
import { beginLongRun } from "./support/longRun.ts"
import { makeDirectory, servePages } from "./support/pages.ts"
import { describeBrowser, openTab } from "./support/tab.ts"

const events = Number(process.env["LLM_CACHE_PAGE_EVENTS"] ?? 100_000)

/** The page is looked at so often. */
const rounds = 16

/** Waits until the trace has so many draws. */
const inFile = (file: string, count: number) =>
  Effect.repeat(Effect.map(Trace.receipt(file), ({ asked }) => asked), {
    until: (asked) => asked === count,
    schedule: Schedule.spaced("20 millis")
  })

/** What is left after the garbage is collected, in bytes and nodes of all documents. */
const measure = async (page: Page) => {
  const session = await page.context().newCDPSession(page)
  await session.send("HeapProfiler.enable")
  await session.send("HeapProfiler.collectGarbage")
  await session.send("HeapProfiler.collectGarbage")
  const { usedSize: heap } = await session.send("Runtime.getHeapUsage")
  const { jsEventListeners: listeners, nodes } = await session.send("Memory.getDOMCounters")
  await session.detach()
  return { heap, listeners, nodes }
}

describeBrowser("A page that is left open", () => {
  it.live("shows what was drawn before it was connected", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { draw, run } = yield* beginLongRun(directory, "late")
      yield* draw(10)
      const origin = yield* servePages(directory)
      const { page, problems } = yield* openTab(yield* openBrowser, origin)
      const shows = (count: number) =>
        Effect.promise(() => page.locator(".card.asked .number", { hasText: new RegExp(`^${count}$`) }).waitFor())
      const connect = yield* Deferred.make<void>()
      const last = yield* Deferred.make<void>()
      yield* Effect.promise(() =>
        page.route("**/events*", async (route) => {
          await Effect.runPromise(Deferred.await(connect))
          await route.continue()
          await Effect.runPromise(Deferred.succeed(last, undefined))
        })
      )
      yield* Effect.promise(() => page.goto(`${origin}/inspect/runs/${run.id}`))
      yield* shows(10)
      yield* draw(10)
      yield* inFile(run.file, 20)
      yield* Deferred.succeed(connect, undefined)
      yield* Deferred.await(last)
      yield* shows(20)
      assert.deepStrictEqual(problems, [])
    }).pipe(Effect.scoped))

  it.live(`stays as small as it was, over ${events} events of a run`, () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const { draw, run } = yield* beginLongRun(directory, "long")
      yield* draw(events / rounds)
      const origin = yield* servePages(directory)
      const browser = yield* openBrowser
      const { page, problems } = yield* openTab(browser, origin)
      yield* Effect.promise(() => page.goto(`${origin}/inspect/runs/${run.id}`))
      const shows = (count: number) =>
        Effect.promise(() => page.getByText(`of ${new Intl.NumberFormat("en").format(count)}`).first().waitFor())
      let early = { heap: 0, listeners: 0, nodes: 0 }
      for (let round = 1; round <= rounds; round++) {
        if (round > 1) yield* draw(events / rounds)
        yield* shows(round * events / rounds)
        if (round === 4) early = yield* Effect.promise(() => measure(page))
      }
      const late = yield* Effect.promise(() => measure(page))
      assert.isAtMost(late.nodes, early.nodes * 1.1)
      assert.isAtMost(late.listeners, early.listeners)
      assert.isAtMost(late.heap, early.heap + 1024 * 1024)
      assert.deepStrictEqual(problems, [])
    }).pipe(Effect.scoped))
})

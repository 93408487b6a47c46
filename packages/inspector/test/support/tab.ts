import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { executable } from "./browser.ts"

const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"

/** Describes tests of a browser. Without one it skips them, or fails if one is required. */
export const describeBrowser = (name: string, define: () => void): void => {
  const isThere = Fs.existsSync(executable)
  it(`${name}: find a browser if LLM_CACHE_REQUIRE_SERVERS is set`, () => {
    assert.isFalse(isRequired && !isThere, `there is no ${executable}: install chromium, or name it by CHROMIUM`)
  })
  describe.skipIf(!isThere)(`${name}${isThere ? "" : ` (skipped: there is no ${executable})`}`, () => {
    define()
  })
}

/** A page of a browser that is not shared, and what it must not do. */
export interface Tab {
  readonly page: Page
  /** Errors of the page and its console, dialogs, and requests that leave the origin. */
  readonly problems: ReadonlyArray<string>
}

/** Opens a page until the scope closes. */
export const openTab = (
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {}
): Effect.Effect<Tab, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newContext(options)),
      (context) => Effect.promise(() => context.close())
    )
    const page = yield* Effect.promise(() => context.newPage())
    page.setDefaultTimeout(20_000)
    const problems: Array<string> = []
    page.on("pageerror", ({ message }) => problems.push(message))
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text())
    })
    page.on("dialog", (dialog) => {
      problems.push(dialog.message())
      void dialog.dismiss()
    })
    page.on("request", (request) => {
      if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) problems.push(request.url())
    })
    return { page, problems }
  })

/** Uses a page, and asserts that it did nothing that it must not do. */
export const visit = (
  browser: Browser,
  origin: string,
  use: (page: Page) => Promise<void>,
  options?: BrowserContextOptions
): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const { page, problems } = yield* openTab(browser, origin, options)
    yield* Effect.promise(() => use(page))
    assert.deepStrictEqual(problems, [])
  }))

const axe = Fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

/** What axe finds on a page: the rule, and the first element. */
export const violationsOf = async (page: Page, rules?: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe)
  const options = rules === undefined ? {} : { runOnly: { type: "rule", values: rules } }
  const { violations }: {
    readonly violations: ReadonlyArray<
      { readonly id: string; readonly nodes: ReadonlyArray<{ readonly html: string }> }
    >
  } = await page.evaluate(`axe.run(document, ${JSON.stringify(options)})`)
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

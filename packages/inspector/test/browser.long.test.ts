/**
 * The pages in Debian's Chromium.
 *
 * Screenshots are not compared: machines draw letters differently, and a tolerance that allows for it would not see a lost line.
 * The tests measure what a screenshot shows: sizes of pages, overlaps, contrast and the style of what has the focus.
 */
import { assert, layer } from "@effect/vitest"
import { DirectoryStore, Events, Identity, Independent, Key, LlmModel, Persistent, Trace } from "@llm-cache/core"
import { Inspector } from "@llm-cache/inspector"
import { Context, Deferred, Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { openBrowser } from "./support/browser.ts"
import {
  colorPrompt,
  type Example,
  hashOf,
  hostilePrompt,
  makeExample,
  numberPrompt,
  pathsOf
} from "./support/example.ts"
import { beginLongRun } from "./support/longRun.ts"
import { makeDirectory, servePages } from "./support/pages.ts"
import { describeBrowser, violationsOf, visit } from "./support/tab.ts"

/** Answers chat completions. */
const openUpstream = Effect.acquireRelease(
  Effect.callback<{ readonly server: Http.Server; readonly url: string }>((resume) => {
    let requests = 0
    const server = Http.createServer((request, response) => {
      request.resume().on("end", () =>
        response.setHeader("content-type", "application/json").end(JSON.stringify({
          id: `chatcmpl-${requests++}`,
          object: "chat.completion",
          created: 1,
          model: "gpt-4o",
          choices: [{ index: 0, message: { role: "assistant", content: "Lisbon" }, finish_reason: "stop" }],
          usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
        })))
    }).listen(
      0,
      "127.0.0.1",
      () => resume(Effect.succeed({ server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` }))
    )
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

class Site extends Context.Service<Site, {
  readonly browser: Browser
  readonly directory: string
  readonly origin: string
  readonly runs: Example
}>()("test/Site") {}

const Served = Layer.effect(
  Site,
  Effect.gen(function*() {
    const directory = yield* makeDirectory
    const runs = yield* Effect.orDie(makeExample(directory))
    const { url } = yield* openUpstream
    const origin = yield* Effect.orDie(servePages(directory, {
      replication: false,
      trace: { directory },
      upstreams: [{ name: "test", url }]
    }))
    return { browser: yield* openBrowser, directory, origin, runs }
  })
)

const browse = (
  use: (page: Page, url: string, site: Site["Service"]) => Promise<void>,
  options?: BrowserContextOptions
) =>
  Effect.flatMap(
    Site,
    (site) => visit(site.browser, site.origin, (page) => use(page, `${site.origin}/inspect`, site), options)
  )

const phone = { width: 390, height: 844 }

/** A page that is loaded anew loses it. */
const mark = (page: Page) => page.evaluate("window.isMarked = true")
const isMarked = (page: Page) => page.evaluate("window.isMarked === true")

describeBrowser("The pages", () =>
  layer(Served, { excludeTestServices: true })("in a browser", (it) => {
    it.effect("axe finds nothing on any page, and no page is wider than its window: light, dark and on a phone", () =>
      Effect.gen(function*() {
        const looks: ReadonlyArray<readonly [BrowserContextOptions, rules?: ReadonlyArray<string>]> = [
          [{ colorScheme: "light" }],
          [{ colorScheme: "dark" }, ["color-contrast", "link-in-text-block"]],
          [{ colorScheme: "light", viewport: phone }]
        ]
        for (const [options, rules] of looks) {
          yield* browse(async (page, url, { runs }) => {
            for (const [path, , query = ""] of pathsOf(runs)) {
              await page.goto(`${url}${path}${query}`)
              assert.deepStrictEqual(await violationsOf(page, rules), [], path)
              const [content, window] = await page.evaluate<[number, number]>(
                "[document.documentElement.scrollWidth, window.innerWidth]"
              )
              assert.isAtMost(content, window, path)
            }
          }, options)
        }
      }))

    it.effect("a phone shows all of the table of runs, and of those of a run, with names for the numbers", () =>
      browse(async (page, url, { runs }) => {
        await page.goto(url)
        const [all, shown] = await page.evaluate<[number, number]>(
          `((e) => [e.scrollWidth, e.clientWidth])(document.querySelector('[aria-label="Runs"]'))`
        )
        assert.isAtMost(all, shown)
        await page.goto(`${url}/runs/${runs.recorded}`)
        for (const label of ["Prompts that cost most", "What was asked"]) {
          const [content, width] = await page.evaluate<[number, number]>(
            `((e) => [e.scrollWidth, e.clientWidth])(document.querySelector('[aria-label="${label}"]'))`
          )
          assert.isAtMost(content, width, label)
        }
        const name = await page.evaluate<string>(
          "getComputedStyle(document.querySelector('td[data-name=position]'), '::before').content"
        )
        assert.include(name, "position")
      }, { viewport: phone }))

    it.effect("dark and light follow the system, also while the page is open", () =>
      browse(async (page, url) => {
        await page.goto(url)
        const background = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor")
        const lightness = async () => Number(/\d+/.exec(await background())?.[0])
        await page.emulateMedia({ colorScheme: "dark" })
        assert.isBelow(await lightness(), 40)
        await page.emulateMedia({ colorScheme: "light" })
        assert.isAbove(await lightness(), 220)
      }))

    it.effect("no page weighs 60 kB with its style and script, and none asks for more than these", () =>
      Effect.gen(function*() {
        const { runs } = yield* Site
        for (const [path, , query = ""] of pathsOf(runs)) {
          yield* browse(async (page, url) => {
            const bodies: Array<Promise<readonly [string, number]>> = []
            page.on("response", (response) => {
              if (response.url().startsWith("data:") || response.url().includes("/events")) return
              bodies.push(response.body().then(({ length }) => [new URL(response.url()).pathname, length] as const))
            })
            await page.goto(`${url}${path}${query}`, { waitUntil: "load" })
            page.removeAllListeners("response")
            const loaded = new Map(await Promise.all(bodies))
            const weight = [...loaded.values()].reduce((sum, length) => sum + length, 0)
            assert.isBelow(weight, 60_000, path)
            assert.includeMembers(
              [new URL(`${url}${path}`).pathname, "/inspect/style.css", "/inspect/live.js"],
              [...loaded.keys()]
            )
          })
        }
      }))

    it.effect("the keyboard alone skips to the content, opens a run, and compares two runs", () =>
      browse(async (page, url, { runs }) => {
        await page.goto(url)
        const focused = () => page.evaluate<string>("document.activeElement.textContent.trim()")
        const outline = () => page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")
        await page.keyboard.press("Tab")
        assert.strictEqual(await focused(), "Skip to the content")
        assert.strictEqual(await outline(), "solid")
        await page.keyboard.press("Enter")
        assert.match(page.url(), /#content$/)
        const tabTo = async (text: string) => {
          for (let i = 0; i < 60; i++) {
            await page.keyboard.press("Tab")
            if (await focused() === text) return
          }
          assert.fail(`nothing reached ${text}`)
        }
        // The radios of a name are one stop, and the arrows move between them.
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await tabTo("Compare A with B")
        assert.strictEqual(await outline(), "solid")
        await page.keyboard.press("Enter")
        await page.waitForURL(/\/compare\?a=/)
        await page.goto(url)
        await tabTo("nightly")
        await page.keyboard.press("Enter")
        await page.waitForURL(`${url}/runs/${runs.missed}`)
        await tabTo("Explain it, and the misses that follow")
        await page.keyboard.press("Enter")
        await page.waitForURL(/\/misses\/\d+$/)
        assert.include(await page.locator("h1").textContent(), "missed")
      }))

    it.effect("a click leads from the runs to the first miss, its cause, and the misses that follow from it", () =>
      browse(async (page, url) => {
        await page.goto(url)
        await page.getByRole("link", { name: "nightly" }).click()
        await page.getByRole("link", { name: "Explain it, and the misses that follow" }).click()
        assert.strictEqual(await page.locator("#content del").first().textContent(), "24")
        assert.strictEqual(await page.locator("#content ins").first().textContent(), "25")
        assert.include(
          await page.locator("main").textContent(),
          "1 request missed by itself, and 1 other because of an earlier one."
        )
        await page.getByRole("region", { name: "Misses" }).getByRole("link").nth(1).click()
        assert.include(await page.locator("main").textContent(), "follows from")
      }))

    it.effect("two runs are compared by their boxes, up to the first divergence", () =>
      browse(async (page, url, { runs }) => {
        await page.goto(url)
        await page.getByLabel(`A is ${runs.recorded}`).check()
        await page.getByLabel(`B is ${runs.missed}`).check()
        await page.getByRole("button", { name: "Compare A with B" }).click()
        await page.waitForURL(/\/compare\?/)
        const query = new URL(page.url()).searchParams
        assert.deepStrictEqual([query.get("a"), query.get("b")], [runs.recorded, runs.missed])
        assert.deepStrictEqual(await page.locator("del, ins").filter({ hasText: /^2[45]$/ }).allTextContents(), [
          "24",
          "25"
        ])
      }))

    it.effect("two samples are compared by word, and keep their choice", () =>
      browse(async (page, url) => {
        await page.goto(`${url}/prompts/${hashOf(colorPrompt)}`)
        await page.getByLabel("Left is sample 3").check()
        await page.getByLabel("Right is sample 9").check()
        await page.getByRole("button", { name: "Compare left with right by word" }).click()
        const compared = page.locator("#compared")
        assert.strictEqual(await compared.locator(".diff del").textContent(), "blue")
        assert.strictEqual(await compared.locator(".diff ins").textContent(), "violet")
        assert.isTrue(await page.getByLabel("Left is sample 3").isChecked())
        assert.isTrue(await page.getByLabel("Right is sample 9").isChecked())
      }))

    it.effect("filters are in the URL, and come back with it", () =>
      browse(async (page, url, { runs }) => {
        await page.goto(`${url}/runs/${runs.recorded}`)
        await page.getByLabel("Outcome").selectOption("bought")
        await page.getByRole("searchbox", { name: "Prompt" }).fill("name a color")
        await page.getByRole("button", { name: "Filter" }).click()
        const rows = page.getByRole("region", { name: "What was asked" }).locator("tbody tr")
        assert.strictEqual(await rows.count(), 10)
        assert.include(page.url(), "outcome=bought")
        await page.reload()
        assert.strictEqual(await page.getByLabel("Outcome").inputValue(), "bought")
        assert.strictEqual(await rows.count(), 10)
        await page.getByRole("link", { name: "Clear", exact: true }).click()
        assert.isAbove(await rows.count(), 10)
      }))

    it.effect("after going back, the filters are those of the page", () =>
      browse(async (page, url, { runs }) => {
        await page.goto(`${url}/runs/${runs.recorded}`)
        await page.getByLabel("Outcome").selectOption("bought")
        await page.getByRole("button", { name: "Filter" }).click()
        await page.waitForURL(/outcome=bought/)
        await page.goBack()
        assert.strictEqual(await page.getByLabel("Outcome").inputValue(), "")
      }))

    it.effect("names of any length fit a window, and the keyboard reaches texts that scroll", () =>
      Effect.gen(function*() {
        const { directory } = yield* Site
        const long = "n".repeat(300)
        const text = "line\n".repeat(200)
        const identity = yield* Effect.orDie(Identity.make({ model: "gpt-4o", temperature: 1 }))
        const key = new Key.Key(identity, text, [long, `${long}2`])
        const id = yield* Effect.orDie(Effect.scoped(Effect.gen(function*() {
          const store = yield* DirectoryStore.make(directory, { durability: "process" })
          const { listener, run } = yield* Trace.make({ directory, name: long })
          const other = new Key.Key(identity, text, [])
          const entry = (position: number, text: string) => ({
            id: `${position}`,
            position,
            drawn: { text, metadata: {}, origins: [] }
          })
          yield* store.put(other, [entry(0, text), entry(1, `${text}!`)], "drop")
          const sample = { text, metadata: { request: "r", index: 0, inputTokens: 1, outputTokens: 1 } }
          listener({ _tag: "Hit", key, position: 0, store: "s", waited: false, sample })
          listener({ _tag: "Miss", key, position: 1, store: "s", asks: "nothing" })
          return run.id
        })))
        const run = `/runs/${encodeURIComponent(id)}`
        const paths = ["", run, `${run}/misses/1`, `/prompts/${hashOf(text)}?run=${encodeURIComponent(id)}&a=0&b=1`]
        for (const options of [{}, { viewport: phone }]) {
          yield* browse(async (page, url) => {
            for (const path of paths) {
              const response = await page.goto(url + path)
              assert.strictEqual(response?.status(), 200, path)
              assert.deepStrictEqual(await violationsOf(page), [], path)
              const [content, window] = await page.evaluate<[number, number]>(
                "[document.documentElement.scrollWidth, window.innerWidth]"
              )
              assert.isAtMost(content, window, path)
            }
          }, options)
        }
      }))

    it.effect("100,000 draws are read by pages, of which each has 50", () =>
      Effect.gen(function*() {
        const { directory } = yield* Site
        const id = yield* Effect.scoped(Effect.gen(function*() {
          const { draw, run } = yield* beginLongRun(directory, "long")
          yield* draw(100_000)
          return run.id
        }))
        yield* browse(async (page, url) => {
          await page.goto(`${url}/runs/${id}`)
          const pager = page.getByRole("navigation", { name: "Pages" })
          await pager.getByText("1–50 of 100,000").waitFor()
          await pager.getByRole("link", { name: "Next" }).click()
          await pager.getByText("51–100 of 100,000").waitFor()
          const rows = page.getByRole("region", { name: "What was asked" }).locator("tbody tr")
          assert.strictEqual(await rows.count(), 50)
          assert.strictEqual(await rows.first().locator("td").first().textContent(), "51")
          await pager.getByRole("link", { name: "Last" }).click()
          await pager.getByText("99,951–100,000 of 100,000").waitFor()
          assert.strictEqual(await rows.last().locator("td").first().textContent(), "100,000")
          assert.isBelow(await page.evaluate<number>("document.querySelectorAll('*').length"), 2000)
          await pager.getByRole("link", { name: "First" }).click()
          await pager.getByText("1–50 of 100,000").waitFor()
        })
      }).pipe(Effect.orDie))

    it.effect("a run of the library appears, moves and ends without reloading", () =>
      Effect.gen(function*() {
        const { directory } = yield* Site
        const gate = yield* Deferred.make<void>()
        const model = yield* Effect.orDie(LlmModel.make({
          model: "quick",
          generate: ({ n, prompt }) =>
            Effect.as(prompt === "second" ? Deferred.await(gate) : Effect.void, {
              samples: Array.from({ length: n }, () => ({ text: "an answer" })),
              inputTokens: 1000,
              outputTokens: 1
            })
        }))
        const program = Effect.gen(function*() {
          yield* LlmModel.sampleOne("first")
          yield* LlmModel.sampleOne("second")
        }).pipe(
          Effect.provide(
            Independent.layer.pipe(
              Layer.provide(Persistent.layer({ directory })),
              Layer.provide(Layer.succeed(LlmModel.LlmModel, model)),
              Layer.provideMerge(Trace.layer({ directory, name: "quickstart" })),
              Layer.provideMerge(Events.layer)
            )
          )
        )
        yield* browse(async (page, url) => {
          await page.goto(url)
          await page.getByText("live", { exact: true }).waitFor()
          await mark(page)
          const finished = Effect.runPromise(Effect.exit(program))
          const link = page.getByRole("link", { name: "quickstart" })
          await link.waitFor()
          assert.isTrue(await isMarked(page))
          await link.click()
          await page.getByText("live", { exact: true }).waitFor()
          await mark(page)
          const rows = page.getByRole("region", { name: "What was asked" }).locator("tbody tr")
          await rows.nth(1).getByText("requested").waitFor()
          assert.include(await page.locator(".title").textContent(), "running")
          Deferred.doneUnsafe(gate, Effect.void)
          await rows.nth(1).getByText("bought").waitFor()
          await page.locator(".title").getByText("exit 0").waitFor()
          await finished
          assert.isTrue(await isMarked(page))
          // The run has ended, and so has the connection.
          assert.strictEqual(await page.locator("#live").textContent(), "")
        })
      }))

    it.effect("a run of a server's client appears and moves, its picture too", () =>
      browse(async (page, url, { origin }) => {
        const ask = async (prompt: string) => {
          const response = await fetch(`${origin}/run/agent-9/independent/v1/chat/completions`, {
            method: "POST",
            headers: { "content-type": "application/json", authorization: "Bearer key" },
            body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: prompt }] })
          })
          assert.strictEqual(response.status, 200, await response.text())
        }
        await page.goto(url)
        await page.getByText("live", { exact: true }).waitFor()
        await ask("Where is it sunny?")
        await page.getByRole("link", { name: "agent-9" }).click()
        const rows = page.getByRole("region", { name: "What was asked" }).locator("tbody tr")
        await rows.first().getByText("bought").waitFor()
        await page.getByText("live", { exact: true }).waitFor()
        await mark(page)
        await ask("Where is it sunny?")
        await rows.nth(1).waitFor()
        assert.isTrue(await isMarked(page))
        await rows.first().getByRole("link", { name: "Where is it sunny?" }).click()
        assert.include(await page.locator("#picture svg").textContent(), "took positions 0, 1")
      }))

    it.effect("one file of a run opens from a disk, and asks for nothing else", () =>
      Effect.gen(function*() {
        const { browser, directory, runs } = yield* Site
        const run = (yield* Effect.orDie(Trace.list(directory))).find(({ id }) => id === runs.missed)!
        const text = yield* Effect.orDie(
          Inspector.file(run, { directory }).pipe(Effect.provide(DirectoryStore.layer(directory)))
        )
        const file = Path.join(directory, "run.html")
        Fs.writeFileSync(file, text)
        yield* visit(browser, `file://${file}`, async (page) => {
          await page.goto(`file://${file}`)
          assert.strictEqual(await page.locator("h1").textContent(), "nightly")
          assert.strictEqual(await page.locator("ins").first().textContent(), "25")
          assert.strictEqual(
            await page.evaluate("getComputedStyle(document.querySelector('.card')).borderTopWidth"),
            "3px"
          )
          assert.deepStrictEqual(await violationsOf(page), [])
        })
        Fs.rmSync(file)
      }))

    it.effect("prompts and answers full of HTML and control characters are shown, and do nothing", () =>
      browse(async (page, url, { runs }) => {
        for (const path of [`/prompts/${hashOf(hostilePrompt)}?a=0&b=1`, `/runs/${runs.recorded}`, "/cache"]) {
          await page.goto(url + path)
          assert.notStrictEqual(await page.title(), "broken")
          assert.strictEqual(await page.locator("main :is(script, img, b, iframe)").count(), 0)
          assert.include(await page.locator("main").textContent(), `<script>document.title = "broken"</script>`)
        }
        await page.goto(`${url}/prompts/${hashOf(hostilePrompt)}`)
        const hidden = await page.locator(".ctl").allTextContents()
        assert.includeMembers(hidden, ["\\u001b", "\\u202e", "\\u0000", "\\r", "\\u0007"])
      }))

    it.effect("what a person opened or chose stays as a live page moves", () =>
      browse(async (page, url, { origin, runs }) => {
        await page.goto(url)
        await page.getByText("live", { exact: true }).waitFor()
        await page.getByLabel(`A is ${runs.recorded}`).check()
        const rows = page.locator("tbody tr")
        const before = await rows.count()
        await fetch(`${origin}/run/other/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: "Bearer key" },
          body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: numberPrompt }] })
        })
        await rows.nth(before).waitFor()
        assert.strictEqual(await page.evaluate("document.activeElement.value"), runs.recorded)
        assert.isTrue(await page.getByLabel(`A is ${runs.recorded}`).isChecked())
      }))
  }))

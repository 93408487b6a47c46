import { assert, describe, layer } from "@effect/vitest"
import { DirectoryStore, Trace } from "@llm-cache/core"
import { Inspector } from "@llm-cache/inspector"
import { Context, Effect, Layer, Redacted } from "effect"
import {
  colorPrompt,
  type Example,
  hashOf,
  hostilePrompt,
  longPrompt,
  makeExample,
  numberPrompt,
  pathsOf
} from "./support/example.ts"
import { get, makeDirectory, servePages, treeOf } from "./support/pages.ts"

class Pages extends Context.Service<Pages, {
  readonly directory: string
  readonly url: string
  readonly runs: Example
}>()("test/Pages") {}

const Served = Layer.effect(
  Pages,
  Effect.gen(function*() {
    const directory = yield* makeDirectory
    const runs = yield* Effect.orDie(makeExample(directory))
    return { directory, runs, url: `${yield* Effect.orDie(servePages(directory))}/inspect` }
  })
)

const json = (path: string): Effect.Effect<any, never, Pages> =>
  Effect.gen(function*() {
    const { url } = yield* Pages
    const { headers, status, text } = yield* get(url + path)
    assert.strictEqual(status, 200, text)
    assert.include(headers.get("content-type"), "application/json")
    return JSON.parse(text)
  })

layer(Served, { excludeTestServices: true })("The pages", (it) => {
  it.effect("list the runs, the newest first, and tell the replay from the others", () =>
    Effect.gen(function*() {
      const { runs } = yield* Pages
      const list = yield* json("/runs.json")
      assert.deepStrictEqual(list.runs.map(({ id }: any) => id), [
        runs.raced,
        runs.missed,
        runs.replayed,
        runs.recorded
      ])
      assert.deepStrictEqual(list.runs.map(({ receipt }: any) => receipt.isReplay), [false, false, true, false])
      assert.deepStrictEqual(list.runs.map(({ state }: any) => state), ["done", "failed", "done", "done"])
    }))

  it.effect("show the receipt of a run, its draws, forks and the prompts that cost most", () =>
    Effect.gen(function*() {
      const { directory, runs } = yield* Pages
      const run = yield* json(`/runs/${runs.recorded}.json`)
      const [first] = yield* Trace.list(directory)
      const { exit, ...receipt } = yield* Trace.receipt(first!.file)
      assert.deepStrictEqual(run.receipt, { ...receipt, exit: exit ?? null })
      assert.strictEqual(run.total, receipt.asked)
      assert.deepStrictEqual(
        run.draws.slice(0, 3).map(({ number, outcome, position }: any) => [number, outcome, position]),
        [[1, "bought", 0], [2, "bought", 1], [3, "reread", 0]]
      )
      assert.include(run.prompts[0].prompt, longPrompt.slice(0, 60))
      assert.deepStrictEqual(
        run.forks.inside.map(({ asked, fork }: any) => [fork.join(), asked]),
        [["worker-1", 2], ["worker-2", 2], ["<b>worker-3</b>", 2], ["planner", 2]]
      )
    }))

  it.effect("filter the draws by outcome, fork, model, and words or hash of the prompt", () =>
    Effect.gen(function*() {
      const { runs } = yield* Pages
      const total = (query: string) => Effect.map(json(`/runs/${runs.recorded}.json?${query}`), ({ total }) => total)
      assert.strictEqual(yield* total("outcome=reread"), 3)
      assert.strictEqual(yield* total("fork=worker-1"), 2)
      assert.strictEqual(yield* total("fork=worker-1/step"), 2)
      assert.strictEqual(yield* total(`prompt=${hashOf(colorPrompt).slice(0, 8)}`), 10)
      assert.strictEqual(yield* total("prompt=name+a+COLOR"), 10)
      assert.strictEqual(yield* total("prompt=nobody+said+this"), 0)
      assert.strictEqual(yield* total("outcome=bought&fork=planner"), 2)
    }))

  it.effect("explain the first miss, and count the misses that follow from it", () =>
    Effect.gen(function*() {
      const { runs } = yield* Pages
      const run = yield* json(`/runs/${runs.missed}.json`)
      assert.include(run.firstMiss.explanation, "2026-11-[-24-]{+25+}")
      const { text } = yield* get(`${(yield* Pages).url}/runs/${runs.missed}`)
      assert.isBelow(text.indexOf("The first miss"), text.indexOf("Tokens over time"))
      const miss = yield* json(`/runs/${runs.missed}/misses/${run.firstMiss.row}.json`)
      assert.strictEqual(miss.verdict, "near")
      assert.deepStrictEqual(
        miss.misses.map(({ follows, from, number }: any) => [number, from, follows]),
        [[run.firstMiss.number, null, 1], [run.firstMiss.number + 1, run.firstMiss.number, 0]]
      )
      const second = yield* json(`/runs/${runs.missed}/misses/${miss.misses[1].row}.json`)
      assert.strictEqual(second.verdict, "follows")
    }))

  it.effect("tell which draws raced", () =>
    Effect.gen(function*() {
      const { runs } = yield* Pages
      const { races, receipt } = yield* json(`/runs/${runs.raced}.json`)
      assert.strictEqual(receipt.racing, 1)
      const { text } = yield* get(`${(yield* Pages).url}/runs/${runs.raced}`)
      assert.isBelow(text.indexOf("<h2>Races"), text.indexOf("Tokens over time"))
      const [[one, other]] = races
      assert.deepStrictEqual([one.fork, other.fork], [["drafts"], ["drafts"]])
      assert.deepStrictEqual([one.position, other.position], [0, 1])
      assert.strictEqual(other.number, one.number + 1)
    }))

  it.effect("show who took which samples of a sequence: attempts share nothing", () =>
    Effect.gen(function*() {
      const { runs, url } = yield* Pages
      const { runs: [{ readers }] } = yield* json(`/prompts/${hashOf(numberPrompt)}.json?run=${runs.replayed}`)
      assert.deepStrictEqual(
        readers.map(({ positions, reader }: any) => [reader, positions]),
        [["attempt 1", [0, 1]], ["attempt 2", [2, 3]], ["attempt 3", [4, 5]]]
      )
      const { text } = yield* get(`${url}/prompts/${hashOf(numberPrompt)}?run=${runs.replayed}`)
      assert.include(text, "3 readers, which share nothing")
    }))

  it.effect("group equal samples, and compare two by word", () =>
    Effect.gen(function*() {
      const prompt = yield* json(`/prompts/${hashOf(colorPrompt)}.json?a=0&b=1`)
      assert.deepStrictEqual(
        prompt.distinct.map(({ count, text }: any) => [text, count]),
        [["red", 2], ["green", 4], ["blue", 3], ["violet", 1]]
      )
      assert.deepStrictEqual(prompt.compared.differences, [{
        edits: [{ kind: "stored", text: "red" }, { kind: "asked", text: "green" }]
      }])
      const words = "4 of 10 samples are equal (B), as are 3 others (C) and 2 others (A); 1 is like no other."
      for (const suffix of ["", ".md"]) {
        assert.include((yield* get(`${(yield* Pages).url}/prompts/${hashOf(colorPrompt)}${suffix}`)).text, words)
      }
      // A and B are names of answers here, and of no choice.
      const { url } = yield* Pages
      const { text } = yield* get(`${url}/prompts/${hashOf(colorPrompt)}`)
      assert.include(text, "<span>Left</span>")
      assert.include(text, "Compare left with right by word")
    }))

  it.effect("show the forks of a prompt side by side, or one of them", () =>
    Effect.gen(function*() {
      const all = yield* json(`/prompts/${hashOf("Solve the task.")}.json`)
      assert.deepStrictEqual(
        all.sequences.map(({ fork, samples }: any) => [fork[0], samples.length]),
        [["<b>worker-3</b>", 2], ["worker-1", 2], ["worker-2", 2]]
      )
      const one = yield* json(`/prompts/${hashOf("Solve the task.")}.json?fork=worker-2/step`)
      assert.deepStrictEqual(one.sequences.map(({ fork }: any) => fork), [["worker-2", "step"]])
    }))

  it.effect("find the first divergence of two runs, and what only one of them drew", () =>
    Effect.gen(function*() {
      const { runs } = yield* Pages
      const same = yield* json(`/compare.json?a=${runs.recorded}&b=${runs.replayed}`)
      assert.deepInclude(same, { onlyA: 0, onlyB: 0, first: null, divergences: [] })
      const other = yield* json(`/compare.json?a=${runs.recorded}&b=${runs.missed}`)
      assert.deepInclude(other, { onlyA: 2, onlyB: 2 })
      assert.deepInclude(other.first, { fork: "planner", same: 0 })
      assert.deepStrictEqual(
        other.first.differences[0].edits.filter(({ kind }: any) => kind !== "same").map(({ text }: any) => text),
        ["24", "25"]
      )
    }))

  it.effect("list the models and prompts of the cache", () =>
    Effect.gen(function*() {
      const cache = yield* json("/cache.json")
      assert.deepStrictEqual(cache.identities.map(({ forks, model, prompts }: any) => [model, prompts, forks]), [
        ["gpt-4o", 9, 5]
      ])
      const found = yield* json("/cache.json?q=lisbon")
      assert.strictEqual(found.keys.length, 1)
    }))

  it.effect("escape every text, on pages and in Markdown", () =>
    Effect.gen(function*() {
      const { runs, url } = yield* Pages
      for (const [path, , query = ""] of pathsOf(runs)) {
        const { text } = yield* get(`${url}${path}${query}`)
        assert.notInclude(text, `<script>document`)
        assert.notInclude(text, "<img")
        assert.notInclude(text, "<b>worker")
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(text, /[\u0000-\u0008\u000b-\u001f\u202e]/, path)
      }
      const { text } = yield* get(`${url}/prompts/${hashOf(hostilePrompt)}`)
      assert.include(text, `<span class="ctl">\\u202e</span>`)
      assert.include(text, "&#60;script&#62;")
      const markdown = yield* get(`${url}/prompts/${hashOf(hostilePrompt)}.md`)
      assert.include(markdown.text, "\\u202e")
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(markdown.text, /[\u0000-\u0008\u000b-\u001f\u202e]/)
    }))

  it.effect("are Markdown and JSON too, with the same links", () =>
    Effect.gen(function*() {
      const { runs, url } = yield* Pages
      for (const [path, plain = path, query = ""] of pathsOf(runs)) {
        const page = yield* get(`${url}${path}${query}`)
        assert.strictEqual(page.status, 200)
        assert.include(page.headers.get("content-type"), "text/html")
        const markdown = yield* get(`${url}${plain}.md${query}`)
        assert.include(markdown.headers.get("content-type"), "text/markdown")
        assert.match(markdown.text, /^# /)
        yield* json(`${plain}.json${query}`)
        assert.include(page.text, `/inspect${plain}.json`)
      }
    }))

  it.effect("are small, and let nothing run or load that is not theirs", () =>
    Effect.gen(function*() {
      const { runs, url } = yield* Pages
      const [css, js] = [yield* get(`${url}/style.css`), yield* get(`${url}/live.js`)]
      for (const [path, , query = ""] of pathsOf(runs)) {
        const { headers, text } = yield* get(`${url}${path}${query}`)
        assert.isBelow(text.length + css.text.length + js.text.length, 60_000, path)
        const policy = headers.get("content-security-policy") ?? ""
        for (
          const part of [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'"
          ]
        ) {
          assert.include(policy, part)
        }
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        assert.notMatch(text, /(?:src|href|action)="(?!\/inspect|#|data:,)/)
        assert.notMatch(text, / (?:style|on\w+)="/)
      }
    }))

  it.effect("leave the cache as it is", () =>
    Effect.gen(function*() {
      const { directory, runs, url } = yield* Pages
      const before = treeOf(directory)
      for (const [path, , query = ""] of pathsOf(runs)) yield* get(`${url}${path}${query}`)
      assert.deepStrictEqual(treeOf(directory), before)
    }))

  it.effect("say that a run, a prompt or a miss is not there", () =>
    Effect.gen(function*() {
      const { runs, url } = yield* Pages
      for (
        const path of [
          "/runs/none",
          "/prompts/none",
          `/prompts/${"0".repeat(64)}`,
          `/runs/${runs.missed}/misses/0`,
          `/runs/${runs.missed}/misses/none`,
          "/compare?a=none&b=none",
          "/runs/..%2f..%2fetc%2fpasswd"
        ]
      ) {
        const { status, text } = yield* get(url + path)
        assert.strictEqual(status, 404, path)
        assert.include(text, "There is no such page.")
      }
    }))

  it.effect("keep to the rules of the server for hosts, origins and tokens", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      assert.strictEqual((yield* get(url, { origin: "http://evil.example" })).status, 403)
      const guarded = `${yield* Effect.orDie(servePages(directory, { token: Redacted.make("secret") }))}/inspect`
      for (const path of ["", "/style.css", "/live.js", "/events", "/runs.json"]) {
        assert.strictEqual((yield* get(guarded + path)).status, 401)
      }
      const link = yield* get(`${guarded}?token=secret`)
      assert.strictEqual(link.status, 303)
      const cookie = link.headers.get("set-cookie")!.split(";", 1)[0]!
      assert.strictEqual((yield* get(guarded, { cookie })).status, 200)
    }).pipe(Effect.scoped))

  it.effect("of a run are one file without scripts and links", () =>
    Effect.gen(function*() {
      const { directory, runs } = yield* Pages
      const run = (yield* Trace.list(directory)).find(({ id }) => id === runs.missed)!
      const text = yield* Inspector.file(run, { directory }).pipe(
        Effect.provide(DirectoryStore.layer(directory))
      )
      assert.include(text, "<style>")
      assert.include(text, "2026-11-")
      assert.notInclude(text, "<script")
      assert.notMatch(text, /href="(?!data:,)/)
      assert.notInclude(text, "<form")
    }))
})

describe("Pages of a folder without runs", () => {
  layer(
    Layer.effect(
      Pages,
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const runs = { recorded: "", replayed: "", missed: "", raced: "" }
        return { directory, runs, url: `${yield* Effect.orDie(servePages(directory))}/inspect` }
      })
    ),
    { excludeTestServices: true }
  )((it) => {
    it.effect("say what to do next", () =>
      Effect.gen(function*() {
        const { url } = yield* Pages
        assert.include((yield* get(url)).text, "LLM_CACHE_TRACE=1")
        assert.include((yield* get(`${url}/cache`)).text, "llm-cache run --")
      }))
  })
})

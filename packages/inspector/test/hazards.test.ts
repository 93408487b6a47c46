/** Files and names that would break a page that trusts them. */
import { assert, layer } from "@effect/vitest"
import { DirectoryStore, Identity, Trace } from "@llm-cache/core"
import { Key } from "@llm-cache/core/Key"
import { Context, Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { hashOf } from "./support/example.ts"
import { get, makeDirectory, servePages, treeOf } from "./support/pages.ts"

class Pages extends Context.Service<Pages, { readonly directory: string; readonly url: string }>()("test/Pages") {}

const Served = Layer.effect(
  Pages,
  Effect.gen(function*() {
    const directory = yield* makeDirectory
    return { directory, url: `${yield* Effect.orDie(servePages(directory))}/inspect` }
  })
)

const markup = `<img src=x onerror=alert(1)>javascript:alert(1)\u202e\u001b[31m\u0000`

// A directory refuses models with a NUL.
const identity = Identity.make({
  model: markup.replace("\u0000", ""),
  temperature: 1,
  parameters: { system: "</script><b>" }
})

/** Writes the trace of a run that draws keys, and returns the run. */
const traced = (directory: string, name: string, keys: ReadonlyArray<Key>) =>
  Effect.scoped(Effect.gen(function*() {
    const { listener, run } = yield* Trace.make({ directory, name })
    for (const key of keys) {
      listener({ _tag: "Hit", key, position: 0, store: "s", waited: false, sample: { text: "a", metadata: {} } })
    }
    return run
  }))

/** Fails if something in a page or its Markdown is not escaped. */
const assertHarmless = (text: string, path: string) => {
  assert.notMatch(text, /(?<!\\)<(?:img|b>)|href="javascript:/, path)
  // oxlint-disable-next-line no-control-regex
  assert.notMatch(text, /[\u0000-\u0008\u000b-\u001f\u202e]/, path)
}

layer(Served, { excludeTestServices: true })("The inspector", (it) => {
  it.effect("shows runs with hostile names, models and forks, of 10,000 forks and of 3,000 in each other", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const hostile = yield* identity
      const forks = Array.from({ length: 10_000 }, (_, i) => new Key(hostile, "many", [`${markup}-${i}`]))
      const deep = new Key(hostile, "deep", Array.from({ length: 3000 }, (_, i) => `level-${i}`))
      const { id } = yield* traced(directory, `../../${markup}`, [...forks, deep])
      assert.deepStrictEqual(Fs.readdirSync(Path.dirname(directory)).filter((name) => name.includes("img src")), [])
      for (const suffix of ["", ".md", ".json"]) {
        const path = `/runs/${encodeURIComponent(id)}${suffix}`
        const { status, text } = yield* get(url + path)
        assert.strictEqual(status, 200, path)
        if (suffix !== ".json") assertHarmless(text, path)
        assert.isBelow(text.length, 120_000, path)
      }
      const { text } = yield* get(`${url}/runs/${encodeURIComponent(id)}.json`)
      const { forks: tree } = JSON.parse(text)
      assert.strictEqual(tree.asked, 10_001)
      assert.strictEqual(tree.inside.length + tree.others, 10_001)
      for (const path of [`/prompts/${hashOf("many")}?run=${id}`, `/prompts/${hashOf("deep")}?run=${id}`]) {
        const { status, text } = yield* get(url + path)
        assert.strictEqual(status, 200, path)
        assertHarmless(text, path)
      }
    }))

  it.effect("shows the starts of a prompt and samples of a million characters, and links to the rest", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const long = "word <b>x</b> ".repeat(70_000)
      const key = new Key(yield* identity, long, [])
      const store = yield* DirectoryStore.make(directory, { durability: "process" })
      yield* store.put(key, [
        { id: "a", position: 0, drawn: { text: long, metadata: {}, origins: [] } },
        { id: "b", position: 1, drawn: { text: `${long}end`, metadata: {}, origins: [] } }
      ], "drop")
      const path = `/prompts/${hashOf(long)}?a=0&b=1`
      const { status, text } = yield* get(url + path)
      assert.strictEqual(status, 200)
      assertHarmless(text, path)
      assert.include(text, "<ins>end</ins>")
      assert.isBelow(text.length, 60_000)
      for (const [query, whole] of [["whole=0", long], ["whole=1", `${long}end`], ["whole=prompt", long]] as const) {
        const name = new RegExp(`href="[^"]*/prompts/${hashOf(long)}[^"]*${query}"`)
        assert.match(text, name)
        const rest = yield* get(`${url}/prompts/${hashOf(long)}?${query}`)
        assert.strictEqual(rest.status, 200)
        assertHarmless(rest.text, query)
        assert.strictEqual(rest.text.split("<main")[1]!.split("&#60;b&#62;x").length, whole.split("<b>x").length, query)
      }
      for (const name of ["2", "0@fork", "x", "-1"]) {
        assert.strictEqual((yield* get(`${url}/prompts/${hashOf(long)}?whole=${name}`)).status, 404, name)
      }
      const { sequences } = JSON.parse((yield* get(`${url}/prompts/${hashOf(long)}.json`)).text)
      assert.deepStrictEqual(sequences[0].samples.map(({ text }: any) => text), [long, `${long}end`])
      const { id } = yield* Effect.scoped(Effect.gen(function*() {
        const { listener, run } = yield* Trace.make({ directory, name: "missed" })
        listener({
          _tag: "Miss",
          key: new Key(key.identity, `${long}other`, []),
          position: 0,
          store: "s",
          asks: "nothing"
        })
        return run
      }))
      const miss = yield* get(`${url}/runs/${id}/misses/0`)
      assert.include(miss.text, "Show all 980,005 characters")
      assert.isBelow(miss.text.length, 60_000)
      const listed = yield* get(`${url}/cache`)
      assert.isBelow(listed.text.length, 60_000)
      assertHarmless(listed.text, "/cache")
    }).pipe(Effect.scoped))

  it.effect("begins a difference that has long words, or very many parts", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const store = yield* DirectoryStore.make(directory, { durability: "process" })
      const word = "x".repeat(1_000_000)
      const words = (name: string) => Array.from({ length: 20_000 }, (_, i) => `same ${name}${i}`).join(" ")
      for (const [prompt, texts] of [["one word", [word, `y${word}`]], ["parts", [words("a"), words("b")]]] as const) {
        const key = new Key(yield* identity, prompt, [])
        const entry = (position: 0 | 1) => ({
          id: `${position}`,
          position,
          drawn: { text: texts[position], metadata: {}, origins: [] }
        })
        yield* store.put(key, [entry(0), entry(1)], "drop")
        const { text } = yield* get(`${url}/prompts/${hashOf(prompt)}?a=0&b=1`)
        assert.match(text, /<div class="text diff"[^]*(?:characters …|more parts)/)
        assert.isBelow(text.length, 120_000, prompt)
      }
    }).pipe(Effect.scoped))

  it.effect("escapes the name of a run in the titles of Markdown", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const key = new Key(yield* identity, "missed", [])
      const { id } = yield* Effect.scoped(Effect.gen(function*() {
        const { listener, run } = yield* Trace.make({ directory, name: markup })
        listener({ _tag: "Miss", key, position: 0, store: "s", asks: "nothing" })
        return run
      }))
      for (const path of [`/runs/${encodeURIComponent(id)}.md`, `/runs/${encodeURIComponent(id)}/misses/0.md`]) {
        const { status, text } = yield* get(url + path)
        assert.strictEqual(status, 200)
        assertHarmless(text.split("\n")[0]!, path)
      }
    }))

  it.effect("says behind the last draw of a run where they are", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const { id } = yield* traced(directory, "few", [new Key(yield* identity, "a", [])])
      const { text } = yield* get(`${url}/runs/${id}?from=50`)
      assert.notInclude(text, "Nothing was asked")
      assert.match(text, /See <a href="[^"]*#asked">the first of 1<\/a>/)
    }))

  it.effect("says of each file that is no trace why, and never what is in it", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const folder = Path.join(directory, ".runs")
      Fs.mkdirSync(folder, { recursive: true })
      const secret = Path.join(directory, "secret")
      Fs.writeFileSync(secret, "the-secret of another program\n")
      Fs.symlinkSync(secret, Path.join(folder, "link.jsonl"))
      Fs.writeFileSync(Path.join(folder, "binary.jsonl"), Buffer.from([0, 255, 254, 10, 0xed, 0xa0, 0x80]))
      Fs.mkdirSync(Path.join(folder, "folder.jsonl"))
      for (const id of ["link", "binary", "folder"]) {
        const { status, text } = yield* get(`${url}/runs/${id}`)
        assert.strictEqual(status, 500, id)
        assert.include(text, `${id}.jsonl`)
        assert.match(text, /no line of a trace: restore the file, or delete it|move it away/)
        assert.notInclude(text, "the-secret")
        assert.strictEqual((yield* get(`${url}/compare?a=${id}&b=${id}`)).status, 500)
      }
      const list = yield* get(url)
      assert.strictEqual(list.status, 200)
      assert.notInclude(list.text, "the-secret")
    }))

  it.effect("says at every look that a trace is damaged, until it is restored or deleted", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const one = yield* identity
      const { file, id } = yield* traced(directory, "damaged", [new Key(one, "a", []), new Key(one, "b", [])])
      const whole = Fs.readFileSync(file, "utf8")
      Fs.writeFileSync(file, whole.replace(/^\{"t":"hit"/m, "{broken"))
      for (const path of [`/runs/${id}`, `/runs/${id}.json`, `/runs/${id}`]) {
        const { status, text } = yield* get(url + path)
        assert.strictEqual(status, 500, path)
        assert.include(text, "no line of a trace")
      }
      Fs.writeFileSync(file, whole)
      const { status, text } = yield* get(`${url}/runs/${id}.json`)
      assert.strictEqual(status, 200)
      assert.strictEqual(JSON.parse(text).total, 2)
      Fs.rmSync(file)
      assert.strictEqual((yield* get(`${url}/runs/${id}`)).status, 404)
    }))

  it.effect("shows the whole lines of a trace that is torn or being written", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const one = yield* identity
      const { file, id } = yield* traced(directory, "torn", [new Key(one, "a", []), new Key(one, "b", [])])
      const whole = Fs.readFileSync(file, "utf8")
      const cut = whole.lastIndexOf(`{"t":"hit"`) + 20
      Fs.writeFileSync(file, whole.slice(0, cut))
      const total = Effect.map(get(`${url}/runs/${id}.json`), ({ text }) => JSON.parse(text).total)
      assert.strictEqual(yield* total, 1)
      Fs.appendFileSync(file, whole.slice(cut))
      assert.strictEqual(yield* total, 2)
    }))

  it.effect("lists all draws of a program that was killed before it wrote its summary", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const { file, id } = yield* traced(directory, "killed", [new Key(yield* identity, "a", [])])
      const summary = file.replace(/l$/, "")
      const { bytes: _, receipt } = JSON.parse(Fs.readFileSync(summary, "utf8"))
      Fs.writeFileSync(file, Fs.readFileSync(file, "utf8").replace(/^\{"t":"end".*\n/m, ""))
      Fs.writeFileSync(summary, JSON.stringify({ bytes: 1, receipt: { ...receipt, asked: 0, replayed: 0 } }))
      const { runs } = JSON.parse((yield* get(`${url}/runs.json`)).text)
      const { receipt: listed } = runs.find((run: any) => run.id === id)
      assert.deepStrictEqual([listed.asked, listed.replayed, listed.exit], [1, 1, null])
    }))

  it.effect("answers paths and queries that mean nothing, and writes nothing", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* Pages
      const { id } = yield* traced(directory, "asked", [new Key(yield* identity, "a", [])])
      const before = treeOf(directory)
      const run = `/runs/${encodeURIComponent(id)}`
      for (
        const [path, status] of [
          [`${run}?from=999999999&outcome=none&model=__proto__&fork=%25%2F%00&prompt=${"x".repeat(5000)}`, 200],
          [`${run}?from=-1`, 200],
          [`${run}/misses/999999999999`, 404],
          ["/runs/%00", 404],
          ["/runs/__proto__", 404],
          ["/runs/%E0%A4%A", 404],
          ["/prompts/constructor", 404],
          ["/compare", 404],
          ["/cache?q=%00&model=constructor&from=1e9", 200]
        ] as const
      ) {
        const answer = yield* get(url + path)
        assert.strictEqual(answer.status, status, path)
        assertHarmless(answer.text, path)
      }
      assert.deepStrictEqual(treeOf(directory), before)
    }))
})

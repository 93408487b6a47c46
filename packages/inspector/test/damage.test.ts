/** Files that are damaged or cut, and stores that cannot be read. */
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, SampleError, SampleStore, Trace } from "@llm-cache/core"
import { Effect, Layer, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { colorPrompt, hashOf, makeExample, numberPrompt } from "./support/example.ts"
import { get, makeDirectory, servePages } from "./support/pages.ts"

const setUp = Effect.gen(function*() {
  const directory = yield* makeDirectory
  const runs = yield* Effect.orDie(makeExample(directory))
  const url = `${yield* Effect.orDie(servePages(directory))}/inspect`
  const fileOf = (id: string) => Path.join(directory, ".runs", `${id}.jsonl`)
  return { directory, fileOf, runs, url }
})

/** Reads a page in its three forms. */
const forms = (url: string, path: string, query = "") =>
  Effect.forEach(["", ".json", ".md"], (suffix) => get(`${url}${path}${suffix}${query}`))

const forEachForm = Effect.fnUntraced(function*(
  [url, path, query]: readonly [url: string, path: string, query?: string],
  status: number,
  ...words: ReadonlyArray<string>
) {
  const answers = yield* forms(url, path, query)
  for (const answer of answers) {
    assert.strictEqual(answer.status, status, path)
    for (const word of words) {
      assert.include(answer.text.replaceAll("\\", "").replaceAll("&#39;", "'"), word, path)
    }
  }
  assert.deepStrictEqual(
    answers.map(({ headers }) => headers.get("content-type")?.split(";")[0]),
    ["text/html", "application/json", "text/markdown"]
  )
  return answers.map(({ text }) => text)
})

const json = Effect.fnUntraced(function*(url: string) {
  const { status, text } = yield* get(url)
  assert.strictEqual(status, 200, text)
  return JSON.parse(text)
})

describe("The pages of something damaged", () => {
  it.live("name a damaged sample and what to do about it, beside the whole ones", () =>
    Effect.gen(function*() {
      const { directory, url } = yield* setUp
      Fs.writeFileSync(Path.join(directory, "gpt-4o_1", hashOf(colorPrompt), "3.md"), "other")
      const path = `/prompts/${hashOf(colorPrompt)}`
      const [, json] = yield* forEachForm([url, path], 200, "3.md differs", "Restore it, delete it", "violet")
      assert.lengthOf(JSON.parse(json!).sequences[0].samples, 9)
    }).pipe(Effect.scoped))

  it.live("name the damaged file of a prompt, also where the prompt has nothing else", () =>
    Effect.gen(function*() {
      const { directory, runs, url } = yield* setUp
      Fs.writeFileSync(Path.join(directory, "gpt-4o_1", hashOf(numberPrompt), "prompt.txt"), "other")
      const path = `/prompts/${hashOf(numberPrompt)}`
      const [page] = yield* forEachForm([url, path, `?run=${runs.recorded}`], 200, "prompt.txt: restore that file")
      assert.notInclude(page, "no samples of this prompt")
      const [, json] = yield* forEachForm([url, path], 500, "prompt.txt: restore that file")
      assert.deepInclude(JSON.parse(json!), { type: "StoreError", kind: "Damaged", operation: "keys" })
      yield* forEachForm([url, "/cache"], 200, "prompt.txt: restore that file")
    }).pipe(Effect.scoped))

  it.live("name a damaged trace and its line, and the other pages stay", () =>
    Effect.gen(function*() {
      const { fileOf, runs, url } = yield* setUp
      const file = fileOf(runs.recorded)
      const lines = Fs.readFileSync(file, "utf8").split("\n")
      Fs.writeFileSync(file, [...lines.slice(0, 8), "broken", ...lines.slice(9)].join("\n"))
      const damage = [file, "line 9 is no line of a trace: restore the file, or delete it"]
      const [page, json] = yield* forEachForm([url, `/runs/${runs.recorded}`], 500, ...damage)
      assert.include(page, `href="/inspect/cache"`)
      const { kind, operation, store, type } = JSON.parse(json!)
      assert.deepStrictEqual([type, kind, store, operation], ["StoreError", "Damaged", `trace ${file}`, "open"])
      yield* forEachForm([url, "/compare", `?a=${runs.recorded}&b=${runs.missed}`], 500, ...damage)
      yield* forEachForm([url, `/prompts/${hashOf(colorPrompt)}`, `?run=${runs.recorded}`], 200, "violet", ...damage)
      for (const path of ["/runs", `/runs/${runs.missed}`, "/cache"]) yield* forEachForm([url, path], 200)
    }).pipe(Effect.scoped))

  it.live("of a trace that another program changed show it anew", () =>
    Effect.gen(function*() {
      const { fileOf, runs, url } = yield* setUp
      const before = yield* json(`${url}/runs/${runs.recorded}.json`)
      const file = fileOf(runs.recorded)
      const whole = Fs.readFileSync(file, "utf8")
      const longer = whole.replace(`"name":"agent"`, `"name":"agent of another name"`)
      const other = `${file}.new`
      for (
        const change of [
          () => Fs.writeFileSync(file, longer),
          () => Fs.writeFileSync(file, whole),
          () => {
            Fs.writeFileSync(other, longer)
            Fs.renameSync(other, file)
          }
        ]
      ) {
        change()
        assert.deepStrictEqual((yield* json(`${url}/runs/${runs.recorded}.json`)).draws, before.draws)
      }
      // Without its last line nothing is at another place.
      Fs.writeFileSync(file, longer.replace(/.*\n$/, ""))
      assert.strictEqual((yield* json(`${url}/runs/${runs.recorded}.json`)).receipt.exit, null)
    }).pipe(Effect.scoped))

  it.live("of a run stay without the texts of a cache that cannot be read", () =>
    Effect.gen(function*() {
      const { directory, runs } = yield* setUp
      const broken = Layer.effect(
        SampleStore.SampleStore,
        Effect.map(DirectoryStore.make(directory), (store) => {
          const fault = new SampleError.StoreError({
            kind: "Unavailable",
            store: "SQLite samples.db",
            operation: "keys",
            description: "file is not a database. Restore it"
          })
          return SampleStore.make({
            ...store,
            identities: Stream.fail(fault),
            keys: () => Stream.fail(fault),
            getMany: () => Effect.fail(fault)
          })
        })
      )
      const url = `${yield* Effect.orDie(servePages(directory, {}, broken))}/inspect`
      const words = ["SQLite samples.db", "file is not a database. Restore it"]
      const [page, json] = yield* forEachForm([url, `/runs/${runs.missed}`, "?prompt=plan"], 200, ...words)
      assert.notInclude(page, "Comparing it")
      yield* forEachForm([url, `/runs/${runs.recorded}`], 200, ...words)
      assert.strictEqual(JSON.parse(json!).receipt.missed, 2)
      yield* forEachForm([url, "/compare", `?a=${runs.recorded}&b=${runs.missed}`], 200, ...words)
      yield* forEachForm([url, `/prompts/${hashOf(colorPrompt)}`], 500, ...words)
      const [, cache] = yield* forEachForm([url, "/cache"], 500, ...words)
      assert.deepInclude(JSON.parse(cache!), { kind: "Unavailable", store: "SQLite samples.db" })
    }).pipe(Effect.scoped))

  it.live("say that there is no such page, as JSON and Markdown too", () =>
    Effect.gen(function*() {
      const { url } = yield* setUp
      const [, json] = yield* forEachForm([url, "/runs/none"], 404)
      assert.deepStrictEqual(JSON.parse(json!), { error: "there is no such page", type: "NotFound" })
    }).pipe(Effect.scoped))
})

describe("The pages of a trace that was cut at its limit", () => {
  it.live("say where its lines end, and have the counts of the whole run", () =>
    Effect.gen(function*() {
      const { fileOf, runs, url } = yield* setUp
      const file = fileOf(runs.recorded)
      const { exit: _, ...receipt } = yield* Effect.orDie(Trace.receipt(file))
      const lines = Fs.readFileSync(file, "utf8").trimEnd().split("\n")
      const kept = lines.slice(0, lines.findIndex((line) => line.startsWith(`{"t":"hit"`)) + 1)
      const text = [...kept, `{"t":"cut","ms":1}`, `{"t":"end","ms":2,"exit":0}`, ""].join("\n")
      Fs.writeFileSync(file, text)
      Fs.writeFileSync(
        file.replace(/\.jsonl$/, ".json"),
        JSON.stringify({ bytes: Buffer.byteLength(text), receipt: { ...receipt, isCut: true, exit: 0 } })
      )
      const drawn = yield* json(`${url}/runs/${runs.recorded}.json`)
      assert.isBelow(drawn.total, receipt.asked)
      assert.strictEqual(drawn.receipt.asked, receipt.asked)
      const [page, , markdown] = yield* forEachForm([url, `/runs/${runs.recorded}`], 200)
      const words = `reached its greatest size, and ends behind ${drawn.total} draws of ${receipt.asked}`
      for (const told of [page!, markdown!]) assert.include(told, words)
      assert.isBelow(page!.indexOf(words), page!.indexOf(`class="cards"`))
      assert.include((yield* get(url)).text, ">cut</span>")
      Fs.rmSync(file.replace(/\.jsonl$/, ".json"))
      assert.isTrue((yield* json(`${url}/runs/${runs.recorded}.json`)).receipt.isCut)
      yield* forEachForm(
        [url, "/compare", `?a=${runs.recorded}&b=${runs.missed}`],
        200,
        `The trace of A reached its greatest size: ${drawn.total} draws of it are compared.`
      )
      yield* forEachForm(
        [url, `/prompts/${hashOf(numberPrompt)}`, `?run=${runs.recorded}`],
        200,
        "its last draws are not in the picture"
      )
    }).pipe(Effect.scoped))
})

import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as ChildProcess from "node:child_process"
import NodeFs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as Net from "node:net"
import * as Path from "node:path"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { makeTraced } from "./support/traced.ts"
import { chunks, json, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

const tracesIn = (directory: string) =>
  NodeFs.globSync(".runs/*.jsonl", { cwd: directory }).sort().map((name) => Path.join(directory, name))

/** Runs an effect while functions of the file system fail for some arguments, as on a full disk. */
const withFullDisk = <A, E, R>(
  names: ReadonlyArray<"openSync" | "writeFileSync" | "writeSync">,
  isFull: (...args: ReadonlyArray<unknown>) => boolean,
  self: Effect.Effect<A, E, R>
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const originals = Object.fromEntries(names.map((name) => [name, NodeFs[name]]))
      for (const name of names) {
        Object.assign(NodeFs, {
          [name]: (...args: ReadonlyArray<unknown>) => {
            if (isFull(...args)) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" })
            return (originals[name] as (...args: ReadonlyArray<unknown>) => unknown)(...args)
          }
        })
      }
      syncBuiltinESMExports()
      return originals
    }),
    () => self,
    (originals) =>
      Effect.sync(() => {
        Object.assign(NodeFs, originals)
        syncBuiltinESMExports()
      })
  )

describe("the memory of a run", () => {
  it.live("is of one server at a time: another one is refused, until the first stops or dies", () =>
    Effect.gen(function*() {
      const { directory, options, store } = yield* makeTraced
      const [first, second] = [yield* makeServer(options, store), yield* makeServer(options, store)]
      assert.deepStrictEqual(yield* first.texts("/run/a/independent"), ["sample 0"])
      const refused = yield* second.chat("/run/a/independent", { messages: user("p") })
      assert.strictEqual(refused.status, 409)
      assert.strictEqual(refused.json.error.code, "run_in_use")
      assert.include(refused.json.error.message, `process ${process.pid}`)
      assert.strictEqual(refused.headers["x-should-retry"], "false")
      assert.deepStrictEqual(yield* second.texts("/run/b/independent"), ["sample 0"])
      yield* first.stop
      assert.deepStrictEqual(yield* second.texts("/run/a/independent"), ["sample 1"])
      // A server that was killed leaves such a trace, whose process has ended.
      yield* second.stop
      const last = tracesIn(directory).findLast((file) => file.endsWith("-a.jsonl"))!
      const killed = NodeFs.readFileSync(last, "utf8").replace(/"pid":\d+/, `"pid":${endedProcess()}`)
        .replace(/.*"pause".*\n/, "")
      NodeFs.writeFileSync(last, killed)
      const third = yield* makeServer(options, store)
      assert.deepStrictEqual(yield* third.texts("/run/a/independent"), ["sample 2"])
    }))

  it.live("is of another server that began the run a moment ago, and this one pauses", () =>
    Effect.gen(function*() {
      const { directory, options, store } = yield* makeTraced
      const other = yield* makeTraced
      const [server, rival] = [yield* makeServer(options, store), yield* makeServer(other.options, other.store)]
      yield* rival.texts("/run/a/independent")
      // The trace of the rival is there when this server has looked for others, and has yet to begin its own.
      const { openSync } = NodeFs
      const restore = () => {
        NodeFs.openSync = openSync
        syncBuiltinESMExports()
      }
      NodeFs.openSync = (...args) => {
        if (args[1] === "ax") {
          restore()
          NodeFs.cpSync(Path.join(other.directory, ".runs"), Path.join(directory, ".runs"), { recursive: true })
        }
        return openSync(...args)
      }
      syncBuiltinESMExports()
      yield* Effect.addFinalizer(() => Effect.sync(restore))
      const refused = yield* server.chat("/run/a/independent", { messages: user("p") })
      assert.deepStrictEqual([refused.status, refused.json.error.code], [409, "run_in_use"])
      const ends = tracesIn(directory).map((file) => NodeFs.readFileSync(file, "utf8").trimEnd().split("\n").at(-1)!)
      assert.sameMembers(ends.map((line) => JSON.parse(line).t), ["given", "pause"])
    }))

  it.live("is of one of two servers that begin a run at once, or of none", () =>
    Effect.gen(function*() {
      const { options, store } = yield* makeTraced
      const servers = yield* Effect.all([makeServer(options, store), makeServer(options, store)])
      for (let i = 0; i < 20; i++) {
        const answers = yield* Effect.forEach(
          servers,
          (server) => server.chat(`/run/${i}/independent`, { messages: user("p") }),
          { concurrency: 2 }
        )
        assert.isAtMost(answers.filter(({ status }) => status === 200).length, 1)
        assert.isTrue(answers.every(({ status }) => status === 200 || status === 409))
      }
    }))

  it.live("does not have a line that a kill tore, whose samples no client has seen", () =>
    Effect.gen(function*() {
      const { directory, options, store } = yield* makeTraced
      const before = yield* makeServer(options, store)
      yield* before.texts("/run/a/independent")
      yield* before.texts("/run/a/independent")
      yield* before.stop
      const [file] = tracesIn(directory)
      const text = NodeFs.readFileSync(file!, "utf8")
      const at = text.lastIndexOf("\"given\"")
      NodeFs.writeFileSync(file!, text.slice(0, at + 20).replace(/"pid":\d+/, `"pid":${endedProcess()}`))
      const after = yield* makeServer(options, store)
      assert.deepStrictEqual(yield* after.texts("/run/a/independent"), ["sample 1"])
    }))

  it.live("is whole after a full disk, which takes no sample that was bought", () => {
    let isFull = false
    return withFullDisk(
      ["writeFileSync", "writeSync"],
      () => isFull,
      Effect.gen(function*() {
        const { options, store, upstream } = yield* makeTraced
        const server = yield* makeServer(options, store)
        yield* server.texts("/run/a/independent")
        const release = upstream.hold()
        const landing = yield* Effect.forkChild(server.chat("/run/a/independent", { messages: user("p") }))
        yield* upstream.until(2)
        isFull = true
        release()
        const failed = yield* Fiber.join(landing)
        assert.strictEqual(failed.status, 500)
        assert.strictEqual(failed.json.error.code, "store_error")
        assert.include(failed.json.error.message, "no space")
        // It is stored before any other is bought.
        assert.strictEqual((yield* server.chat("/run/a/independent", { messages: user("p") })).status, 500)
        assert.strictEqual((yield* server.chat("/run/a/independent", { messages: user("q") })).status, 500)
        assert.strictEqual(upstream.received.length, 2)
        isFull = false
        assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 1"])
        assert.strictEqual(upstream.received.length, 2)
        yield* server.stop
        const next = yield* makeServer(options, store)
        assert.deepStrictEqual(yield* next.texts("/run/a/independent"), ["sample 2"])
      })
    )
  })

  it.live("that cannot be written refuses draws: the next server would give them again", () => {
    let isFull = false
    return withFullDisk(
      ["openSync"],
      (path) => isFull && String(path).includes(`${Path.sep}.runs${Path.sep}`),
      Effect.gen(function*() {
        const { options, store } = yield* makeTraced
        const server = yield* makeServer(options, store)
        yield* server.texts("/run/a/independent")
        isFull = true
        const refused = yield* server.chat("/run/a/independent", { messages: user("p") })
        assert.strictEqual(refused.status, 500)
        assert.strictEqual(refused.json.error.code, "store_error")
        assert.deepStrictEqual(yield* server.texts(""), ["sample 0"])
        isFull = false
        assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 1"])
        yield* server.stop
        const next = yield* makeServer(options, store)
        assert.deepStrictEqual(yield* next.texts("/run/a/independent"), ["sample 2"])
      })
    )
  })

  it.live("passes over samples that are refused by their finish reason, in streams and attempts too", () =>
    Effect.gen(function*() {
      let count = 0
      const upstream = yield* makeUpstream((response, { body }) => {
        const content = `sample ${count}`
        const finish = count++ % 2 === 0 ? "length" : "stop"
        if (!body.stream) {
          return json(response, { id: content, choices: [{ index: 0, message: { content }, finish_reason: finish }] })
        }
        startStream(response)
        response.end(chunks([{ content }], { finish }).join(""))
      })
      const directory = yield* makeDirectory
      const options = { ...upstreams(upstream.url), trace: { directory }, excludeFinishReasons: ["length"] }
      const store = DirectoryStore.layer(directory)
      const before = yield* makeServer(options, store)
      const { text } = yield* before.chat("/run/a/independent", { messages: user("p"), stream: true })
      assert.notInclude(text, "sample 0")
      assert.include(text.replaceAll(/[^\w]/g, ""), "1")
      const place = "/run/a/independent/repeatable/x"
      const attempt = yield* before.chat(place, { messages: user("p") })
      assert.strictEqual(attempt.json.choices[0].message.content, "sample 3")
      assert.strictEqual(attempt.headers["llm-cache-positions"], "3")
      yield* before.stop
      const after = yield* makeServer(options, store)
      assert.deepStrictEqual(yield* after.texts("/run/a/independent"), ["sample 5"])
      assert.deepStrictEqual(yield* after.texts(place), ["sample 3"])
    }))
})

describe("requests of a run that overlap", () => {
  /** Sends requests over one connection, without waiting for answers. */
  const pipelined = (url: string, paths: ReadonlyArray<string>) =>
    Effect.callback<string>((resume) => {
      const { hostname, port } = new URL(url)
      const body = JSON.stringify({ model: "m", messages: user("p") })
      const socket = Net.connect(Number(port), hostname)
      let text = ""
      socket.setEncoding("utf8").on("data", (part: string) => {
        text += part
        if (text.split("HTTP/1.1 200").length <= paths.length) return
        socket.destroy()
        resume(Effect.succeed(text))
      })
      socket.write(
        paths.map((path) =>
          `POST ${path}/v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
          `content-length: ${body.length}\r\n\r\n${body}`
        ).join("")
      )
      return Effect.sync(() => socket.destroy())
    })

  it.live("race, also where each draw takes an instant; those in a row and in forks do not", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      const receiptOf = (run: string) =>
        Effect.map(server.send(`/llm-cache/runs/${run}`, { method: "DELETE" }), ({ json }) => json.receipt)
      yield* server.texts("", "p", 3)
      yield* Effect.replicateEffect(server.texts("/run/row/independent"), 3)
      assert.deepInclude(yield* receiptOf("row"), { replayed: 3, racing: 0, isReplay: true })
      yield* pipelined(server.url, Array(3).fill("/run/once/independent"))
      assert.deepInclude(yield* receiptOf("once"), { replayed: 3, racing: 2, isReplay: false })
      yield* pipelined(server.url, ["x", "y"].map((name) => `/run/tries/independent/repeatable/${name}`))
      yield* pipelined(server.url, ["x", "y"].map((name) => `/run/tries/independent/repeatable/${name}`))
      assert.deepInclude(yield* receiptOf("tries"), { racing: 1, isReplay: false })
      const forks = ["f", "g"].map((name) => `/run/forks/independent/fork/${name}`)
      yield* pipelined(server.url, forks)
      assert.deepInclude(yield* receiptOf("forks"), { racing: 0 })
      // Outside of readers, every request has the first samples.
      yield* pipelined(server.url, Array(2).fill("/run/plain"))
      assert.deepInclude(yield* receiptOf("plain"), { racing: 0 })
      const [plain] = tracesIn(directory).filter((file) => file.endsWith("-plain.jsonl"))
      assert.notInclude(NodeFs.readFileSync(plain!, "utf8"), "\"place\"")
    }))
})

/** The number of a process that has ended. */
const endedProcess = (): number => ChildProcess.spawnSync(process.execPath, ["--version"]).pid

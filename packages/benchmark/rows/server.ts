import { LLMock } from "@copilotkit/aimock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import { above, atMost, fasterThan, within } from "../harness/checks.ts"
import type { Row, Setting } from "../harness/row.ts"
import { spread } from "../harness/spread.ts"
import { ahead } from "../support/ahead.ts"
import { askAll, poolOf, post, requestOf, type Server, startServer, viaPool } from "../support/http.ts"
import { promptOf, promptsOf, sampleOf } from "../support/payload.ts"
import { makeBare } from "../support/servers/bare.ts"
import { replaying, urlOf } from "../support/servers/replaying.ts"

const count = 256

/** Our server in a process of its own, in front of an upstream. */
const startOurs = (setting: Setting, upstream: Server): Promise<Server> =>
  startServer(setting, "servers/ours.ts", Path.join(setting.folder, "cache.db"), upstream.url)

// Two processes would wait for each other on a busy machine. So replays are in this one.
const oursHere = async ({ folder, scope }: Setting, place: string, upstream: Server): Promise<string> => {
  const layer = replaying(Path.join(folder, place), upstream.url)
  return Effect.runPromise(
    Effect.flatMap(Layer.buildWithScope(layer, scope), (context) => Effect.provide(urlOf, context))
  )
}

const bareHere = async ({ onEnd }: Setting, length?: number): Promise<string> => {
  const server = makeBare(length).listen(0, "127.0.0.1")
  onEnd(() => server.close())
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const aimockHere = async ({ onEnd }: Setting, prompts: ReadonlyArray<string>): Promise<string> => {
  const mock = new LLMock({ port: 0 })
  for (const prompt of prompts) mock.onMessage(prompt, { content: sampleOf(0) })
  await mock.start()
  onEnd(() => mock.stop())
  return mock.url
}

const hits = (name: string, title: string, concurrency: number): Row => ({
  name,
  title,
  operation: "a request",
  time: "processor",
  warmUp: 400,
  rounds: 12,
  slack: 1.3,
  checks: [
    atMost(1.8, "a bare Node server"),
    atMost(1.8, "a bare Node server", "ours, over a directory"),
    fasterThan("aimock", 1)
  ],
  setup: async (setting) => {
    const prompts = promptsOf(count)
    const upstream = await startServer(setting, "completions.ts")
    const sqlite = await oursHere(setting, "cache.db", upstream)
    const directory = await oursHere(setting, "cache", upstream)
    const bare = await bareHere(setting)
    const aimock = await aimockHere(setting, prompts)
    const all = (url: string, place?: string) => {
      const ask = viaPool(poolOf(setting, url, concurrency), place)
      return () => askAll(prompts, concurrency, ask)
    }
    return [
      { name: "ours, over SQLite", role: "ours", operations: count, run: all(sqlite) },
      { name: "a bare Node server", role: "floor", operations: count, run: all(bare) },
      { name: "ours, over a directory", role: "ours", operations: count, run: all(directory) },
      { name: "ours, in a run", role: "ours", operations: count, run: all(sqlite, "/run/bench") },
      { name: "aimock", role: "peer", operations: count, run: all(aimock) }
    ]
  }
})

export const serverAlone = hits("server", "server, a replayed chat completion, one at a time", 1)

export const serverTogether = hits("server-64", "server, replayed chat completions, 64 at once", 64)

const missNote =
  "One at a time, each sample is a transaction of its own, which takes 80 µs of a request, and the gateway records nothing. In " +
  "processor time of the servers, once warm and on a busy machine, ours is 0.90 of the gateway. The clock says " +
  "little there, since three processes share two cores."

const misses = (name: string, title: string, concurrency: number): Row => ({
  name,
  title,
  operation: "a request",
  rounds: 12,
  warmUp: 1000,
  checks: [fasterThan("Portkey's gateway", 1)],
  note: missNote,
  setup: async (setting) => {
    const upstream = await startServer(setting, "completions.ts")
    const ours = await startOurs(setting, upstream)
    const portkey = await startServer(setting, "servers/portkey.ts")
    let next = 0
    const all = ({ url }: Server, headers?: object) => {
      const ask = viaPool(poolOf(setting, url, concurrency), "", headers)
      return ahead(
        () => Array.from({ length: 128 }, () => promptOf(next++)),
        (prompts) => askAll(prompts, concurrency, ask)
      )
    }
    return [
      { name: "ours, over SQLite", role: "ours", operations: 128, run: all(ours) },
      { name: "the upstream itself", role: "floor", operations: 128, run: all(upstream) },
      {
        name: "Portkey's gateway",
        role: "peer",
        operations: 128,
        run: all(portkey, { "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream.url}/v1` })
      }
    ]
  }
})

export const serverMissAlone = misses("server-miss", "server, a chat completion that is not recorded, one at a time", 1)

export const serverMissTogether = misses(
  "server-miss-64",
  "server, chat completions that are not recorded, 64 at once",
  64
)

/** A sample of 200 words, which are 200 chunks of a stream. */
const streamLength = 979

export const serverStream: Row = {
  name: "server-stream",
  title: "server, a replayed stream of 200 chunks",
  operation: "a stream",
  characters: streamLength,
  time: "processor",
  warmUp: 400,
  rounds: 12,
  slack: 1.3,
  checks: [atMost(2, "a bare Node server")],
  setup: async (setting) => {
    const prompts = promptsOf(32)
    const upstream = await startServer(setting, "completions.ts", String(streamLength))
    const ours = await oursHere(setting, "cache.db", upstream)
    const bare = await bareHere(setting, streamLength)
    const all = (url: string) => {
      const pool = poolOf(setting, url, 1)
      const ask = async (prompt: string) => {
        const { body } = await post(pool, { ...requestOf(prompt), stream: true })
        const contents = (await body.text()).matchAll(/"content":"([^"]*)"/g)
        return Array.from(contents, ([, content]) => content).join("")
      }
      return () => askAll(prompts, 1, ask)
    }
    return [
      { name: "ours, over SQLite", role: "ours", operations: prompts.length, run: all(ours) },
      { name: "a bare Node server", role: "floor", operations: prompts.length, run: all(bare) }
    ]
  }
}

export const serverFirstToken: Row = {
  name: "server-first-token",
  title: "server, the first token of a stream that is not recorded",
  operation: "a stream",
  rounds: 12,
  checks: [above(1000, "the upstream itself")],
  note:
    "On a busy machine it varies from 0.7 to 1.9 ms. To read the request and to look for a sample takes about 0.2 ms of it, the " +
    "way to the upstream's request 0.2 ms, and the way back of the first piece 0.2 ms.",
  setup: async (setting) => {
    const upstream = await startServer(setting, "completions.ts")
    const ours = await startOurs(setting, upstream)
    let next = 0
    const gauge = ({ url }: Server) => {
      const pool = poolOf(setting, url, 1)
      const firstToken = async (): Promise<number> => {
        const start = performance.now()
        const { body } = await post(pool, { ...requestOf(promptOf(next++)), stream: true })
        let first: number | undefined
        for await (const chunk of body) {
          if (String(chunk).includes(`"content":"`)) first ??= performance.now() - start
        }
        return first! * 1000
      }
      return async () => {
        const times = []
        for (let i = 0; i < 20; i++) times.push(await firstToken())
        return spread(times).median
      }
    }
    const [oursFirst, upstreamFirst] = [gauge(ours), gauge(upstream)]
    // The first streams of a process take twice as long.
    for (let i = 0; i < 20; i++) await oursFirst()
    return [
      { name: "ours, over SQLite", role: "ours", gauge: oursFirst },
      { name: "the upstream itself", role: "floor", gauge: upstreamFirst }
    ]
  }
}

/** Each run looks for earlier traces of its name, so that many take long to begin. */
const [runs, of] = [2000, 10_000]

export const serverRuns: Row = {
  name: "server-runs",
  title: "server, the memory of 10,000 idle runs, from that of 2,000",
  operation: "all of them, beyond that of the server",
  unit: "MB",
  once: true,
  rounds: 1,
  checks: [within(100, "", "MB")],
  setup: async (setting) => {
    const upstream = await startServer(setting, "completions.ts")
    return [{
      name: "runs with a sample each",
      role: "ours",
      gauge: async () => {
        const { process, url } = await startOurs(setting, upstream)
        const memory = () =>
          new Promise<number>((resolve) => {
            process.once("message", (bytes) => resolve(Number(bytes) / 1e6))
            process.send("")
          })
        const pool = poolOf(setting, url, 8)
        const draw = (name: string) => viaPool(pool, `/run/${name}/independent`)(promptOf(0))
        await askAll(Array.from({ length: 1000 }, (_, i) => `warm-${i}`), 8, draw)
        const before = await memory()
        await askAll(Array.from({ length: runs }, (_, i) => `idle-${i}`), 8, draw)
        return (await memory() - before) * of / runs
      }
    }]
  }
}

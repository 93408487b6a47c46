/** The agent in a process of its own: `node agentProcess.ts STORE FOLDER record|replicate [URL]`. It prints its output and the number of its requests. */
import { Effect } from "effect"
import { agent, agentProvider } from "./agent.ts"
import { overHttp, replicatedOverHttp } from "./http.ts"
import { cached, replayed } from "./scripted.ts"
import { type StoreName, stores } from "./stores.ts"

const [, , name, folder = "", mode, url] = process.argv
const place = { store: stores[name as StoreName](folder) }
const provider = agentProvider()
const model = url !== undefined
  ? mode === "record" ? overHttp(url, place) : replicatedOverHttp(place)
  : mode === "record"
  ? cached(provider.layer, place)
  : replayed(place.store)
console.log(await Effect.runPromise(Effect.provide(agent, model)))
console.log(provider.requests.length)

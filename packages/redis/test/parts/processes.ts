import { describe } from "@effect/vitest"
import { ProcessTest } from "@llm-cache/testing"
import { Effect, Schedule } from "effect"
import {
  configure,
  killConnections,
  makeUser,
  newPlace,
  send,
  serverFolder,
  servers,
  writing
} from "../support/server.ts"
import type { Place } from "../support/store.ts"
import { cannotSave, isReplica } from "./faults.ts"

const module = new URL("../support/store.ts", import.meta.url)

const place = Effect.sync(() => JSON.stringify(newPlace()))

/** A place of a user who has no more rights than it takes. */
const ownPlace = Effect.map(makeUser(...writing), (user) => JSON.stringify(newPlace(user)))

const revoked = (right: string) => ({ place }: ProcessTest.Faulty) => {
  const { url }: Place = JSON.parse(place)
  const user = new URL(url).username
  return Effect.acquireRelease(
    send("ACL", "SETUSER", user, `-${right}`),
    () => send("ACL", "SETUSER", user, `+${right}`)
  )
}

export const defineProcesses = () => {
  ProcessTest.suite("Redis", { module, place, hasLeases: true })

  ProcessTest.faults("Redis", {
    module,
    place: ownPlace,
    faults: {
      "its connections are killed, again and again": () =>
        Effect.forkScoped(Effect.repeat(killConnections, Schedule.spaced("10 millis"))),
      "the memory is used up": () => configure("maxmemory", "1", "0"),
      "the server becomes a replica": () => isReplica,
      "it may not write any more": revoked("@write"),
      "it may not read any more": revoked("@read"),
      "it may not run scripts any more": revoked("@scripting")
    }
  })

  describe.skipIf(serverFolder === undefined)("on a server of LLM_CACHE_TEST_SERVERS, which the tests may stop", () => {
    ProcessTest.faults("Redis", {
      module,
      place,
      faults: {
        "the server cannot write its disk": () => cannotSave,
        "the server is stopped, and started later": () =>
          Effect.acquireRelease(servers("pause"), () => servers("resume")),
        "the server is restarted, again and again": () =>
          Effect.forkScoped(Effect.repeat(servers("restart"), Schedule.spaced("300 millis")))
      }
    })
  })
}

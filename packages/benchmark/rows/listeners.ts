import { Audit, Events, LlmModel } from "@llm-cache/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { inTurn, repeatable, run, sampleEach } from "../support/models.ts"
import { promptsOf } from "../support/payload.ts"

const [count, times] = [1000, 5]

/** The cost of events and audits that have no listeners. */
export const listeners: Row = {
  name: "listeners",
  title: "memory hit, with events and an audit, without listeners",
  operation: "a sample",
  slack: 1.5,
  checks: [atMost(1.05, "sampleOne, without events and audits")],
  setup: async ({ scope }) => {
    const prompts = promptsOf(count)
    const model = await repeatable(scope)
    await run(model, sampleEach(prompts))
    const audit = await Effect.runPromise(Audit.make)
    const events = await Effect.runPromise(Events.make)
    const all = inTurn(count * times, (i) => LlmModel.sampleOne(prompts[i % count]!))
    const watched = audit.watch(model, "bench")
    // Layers provide all services in one context.
    const context = Context.make(LlmModel.LlmModel, model)
    const silent = Context.merge(context, Context.make(Audit.Audit, audit).pipe(Context.add(Events.Events, events)))
    let hits = 0
    const heard = Effect.scoped(Effect.andThen(Events.listen(() => hits++), all))
    return [
      {
        name: "sampleOne, with events and an audit, without listeners",
        role: "ours",
        operations: count * times,
        run: () => Effect.runPromise(Effect.provide(all, silent))
      },
      {
        name: "sampleOne, without events and audits",
        role: "floor",
        operations: count * times,
        run: () => Effect.runPromise(Effect.provide(all, context))
      },
      { name: "sampleOne, watched by an audit", role: "ours", operations: count * times, run: () => run(watched, all) },
      {
        name: "sampleOne, with a listener of its events",
        role: "ours",
        operations: count * times,
        run: () => Effect.runPromise(Effect.provide(heard, silent))
      }
    ]
  }
}

import { Events, Trace } from "@llm-cache/core"
import { Effect, Scope } from "effect"

/** Runs a program with a trace, and returns its exit, its file and the receipt before its end. */
export const traced = <A, E, R>(root: string, self: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const events = yield* Events.make
    const trace = yield* Scope.provide(Trace.make({ directory: root, name: "test" }), scope)
    yield* events.listen(trace.listener)
    const exit = yield* Effect.exit(Effect.provideService(self, Events.Events, events))
    const live = yield* trace.receipt
    yield* Scope.close(scope, exit)
    return { exit, file: trace.run.file, live }
  }))

import * as Schema from "effect/Schema"
import type { Program } from "./interpreter.ts"

export const prompts = ["a", "b"]
// Few keys, so that the steps of a program meet.
export const paths = ["", "0"]

const count = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const TakeOf = Schema.Struct({
  prompt: Schema.Literals(prompts),
  path: Schema.Literals(paths),
  n: count(1, 5),
  many: Schema.Boolean,
  batch: count(1, 6),
  level: count(0, 5)
})

const TakeStep = Schema.Struct({ do: Schema.Literal("take"), take: TakeOf })

const Together = Schema.Struct({
  do: Schema.Literal("together"),
  fibers: Schema.Array(Schema.Struct({
    take: TakeOf,
    start: count(0, 5),
    pace: count(0, 4),
    interrupted: Schema.UndefinedOr(count(0, 12))
  })).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
  requests: Schema.Array(count(0, 6)).check(Schema.isMinLength(1), Schema.isMaxLength(3))
})

/** Random programs, which the runner of properties shrinks. */
export const Programs = Schema.Struct({
  stack: Schema.Array(Schema.Literals(["Independent", "Repeatable", "Persistent"])).check(
    Schema.isMinLength(1),
    Schema.isMaxLength(5)
  ),
  maxBatch: count(1, 6),
  extra: count(-2, 2),
  steps: Schema.Array(Schema.Union([
    TakeStep,
    Schema.Struct({ do: Schema.Literal("restart") }),
    Schema.Struct({ do: Schema.Literal("interrupt"), take: TakeOf }),
    Schema.Struct({ do: Schema.Literal("fail"), path: Schema.Literals(paths), requests: count(1, 3) }),
    Schema.Struct({ do: Schema.Literal("atOnce"), takes: Schema.Array(TakeOf).check(Schema.isMaxLength(3)) }),
    Together,
    Schema.Struct({
      do: Schema.Literal("delete"),
      prompt: Schema.Literals(prompts),
      path: Schema.Literals(paths),
      position: count(0, 3),
      store: count(0, 4)
    }),
    // More often than the others.
    TakeStep,
    TakeStep,
    Together
  ])).check(Schema.isMaxLength(12))
})

/** The program without the steps whose results depend on the turns of the scheduler. */
export const withoutTurns = (program: Program): Program => ({
  ...program,
  steps: program.steps.filter((step) => step.do !== "together" && step.do !== "interrupt")
})

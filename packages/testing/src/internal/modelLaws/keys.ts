import * as Fork from "@llm-cache/core/Fork"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import { strict as assert } from "node:assert"
import type { Law } from "../../ModelLaws.ts"
import * as TestModel from "../../TestModel.ts"
import { remembering, renamed } from "./brokenModels.ts"
import { all, law, many } from "./law.ts"

const odd = "a\r\nb\n\u2028\u0000\"\\ \u{1f600} "

const requests = Effect.map(
  Effect.service(TestModel.TestModel),
  ({ requests }) => requests.map(({ path, prompt }) => ({ path, prompt }))
)

/** Prompts and forks. */
export const keys: ReadonlyArray<Law> = [
  law(
    "asks for each prompt, as it is",
    all,
    { broken: remembering({ ignoresPrompts: true }) },
    Effect.gen(function*() {
      const texts = [...yield* many("p", 1), ...yield* many(odd, 1), ...yield* many(`${odd} `, 1)]
      assert.deepEqual((yield* requests).map(({ prompt }) => prompt), ["p", odd, `${odd} `])
      assert.equal(new Set(texts).size, 3)
    })
  ),
  law(
    "asks for each fork",
    all,
    { broken: remembering({ ignoresForks: true }) },
    Effect.gen(function*() {
      const texts = [
        ...yield* many("p", 1),
        ...yield* Fork.fork(many("p", 1), "one"),
        ...yield* Fork.fork(Fork.fork(many("p", 1), "two"), "one")
      ]
      assert.deepEqual((yield* requests).map(({ path }) => path), [[], ["one"], ["one", "two"]])
      assert.equal(new Set(texts).size, 3)
    })
  ),
  law(
    "remembers each fork",
    ["remembered"],
    { broken: remembering({ forgets: true }), isScripted: false },
    Effect.gen(function*() {
      const one = yield* Fork.fork(many("p", 2), "one")
      yield* Fork.fork(many("p", 2), "two")
      assert.deepEqual(yield* Fork.fork(many("p", 2), "one"), one)
    })
  ),
  law(
    "has the identity that it is asked by",
    all,
    { broken: renamed },
    Effect.gen(function*() {
      const { identity } = yield* LlmModel.LlmModel
      const { model } = yield* TestModel.TestModel
      yield* many("p", 1)
      assert.equal(identity.id, model.identity.id)
    })
  )
]

import { assert, describe, it } from "@effect/vitest"
import { differenceOf, instrument } from "../fences/statedValues.ts"

describe("stated values", () => {
  it("are found behind definitions and logs, and the code records them", () => {
    const { code, stated } = instrument(`const a = yield* f() // "92", the same
  yield* Console.log(x, y) // "747", 2
const plain = 1 // a number`)
    assert.deepStrictEqual(stated, [
      { line: 0, values: ["92"], isOfEveryRun: false },
      { line: 1, values: ["747", 2], isOfEveryRun: false }
    ])
    assert.strictEqual(
      code,
      `const a = record(0, yield* f())
  yield* log(1, x, y)
const plain = 1 // a number`
    )
  })

  it("are numbers and booleans only if no word follows", () => {
    assert.deepStrictEqual(instrument("const a = f() // 20 samples").stated, [])
    assert.deepStrictEqual(instrument("const a = f() // 20, true").stated[0]!.values, [20, true])
  })

  it("hold for every run if they say so", () => {
    assert.isTrue(instrument(`const a = f() // "92", in every run`).stated[0]!.isOfEveryRun)
  })

  it("fail behind other statements", () => {
    assert.throws(() => instrument(`return a // "92"`), /line 1 states a value/)
  })

  it("differ from other values, from fewer, and from none", () => {
    const stated = { line: 0, values: ["92", "747"], isOfEveryRun: false }
    assert.isUndefined(differenceOf(stated, [["92", "747"]]))
    assert.match(differenceOf(stated, ["92", "131"])!, /states \["92","747"\], but the value is \["92","131"\]/)
    assert.match(differenceOf(stated, ["92"])!, /the value is \["92"\]/)
    assert.match(differenceOf(stated, undefined)!, /does not reach this line/)
  })
})

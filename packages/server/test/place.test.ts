import { assert, describe, it } from "@effect/vitest"
import { Place } from "@llm-cache/server"
import { Result } from "effect"

const succeed = (path: string) => Result.getOrThrow(Place.split(path))
const fail = (path: string) => {
  const split = Place.split(path)
  assert.isTrue(Result.isFailure(split), path)
  return Result.isFailure(split) ? split.failure.message : ""
}

describe("Place", () => {
  it("reads the layers of a path, and leaves the rest", () => {
    assert.deepStrictEqual(
      succeed("/run/r/independent/repeatable/a%2Fb/fork/f/repeatable/c/fork/g%20h/replication/v1/chat/completions"),
      {
        place: {
          run: "r",
          independent: true,
          attempt: ["a/b", "c"],
          forks: ["f", "g h"],
          replication: true
        },
        rest: "/v1/chat/completions"
      }
    )
    assert.deepStrictEqual(succeed("/v1"), { place: Place.root, rest: "/v1" })
    assert.deepStrictEqual(succeed(""), { place: Place.root, rest: "" })
    assert.deepStrictEqual(succeed("/health"), { place: Place.root, rest: "/health" })
  })

  it("takes any name, also those of layers and paths", () => {
    for (const name of ["v1", "fork", "..", "%", "a/b", "\0", "\u{1F600}", "x".repeat(200)]) {
      const { place, rest } = succeed(`/run/${encodeURIComponent(name)}/fork/${encodeURIComponent(name)}/v1`)
      assert.deepStrictEqual([place.run, place.forks, rest], [name, [name], "/v1"])
    }
  })

  it("refuses names that are empty, too long or no UTF-8, and says how to write them", () => {
    assert.include(fail("/run"), "has no name")
    assert.include(fail("/run//v1"), "has no name")
    assert.include(fail("/fork/%zz/v1"), "percent-encoded")
    assert.include(fail("/fork/%ff/v1"), "percent-encoded")
    assert.include(fail(`/fork/${"%C3%A4".repeat(101)}/v1`), "202 bytes")
  })

  it("needs a run before `independent`, and takes one run", () => {
    assert.include(fail("/independent/v1"), "/run/NAME")
    assert.include(fail("/run/a/run/b/v1"), "`a` and `b`")
  })

  it("appends a header to a path, in which all has to be a layer", () => {
    const { place } = succeed("/run/r/fork/a/v1")
    assert.deepStrictEqual(Result.getOrThrow(Place.parse("/independent/fork/b", place)).forks, ["a", "b"])
    assert.isTrue(Result.isFailure(Place.parse("/fork/b/v1", place)))
    assert.isTrue(Result.isFailure(Place.parse("/indepedent", place)))
    assert.deepStrictEqual(place.forks, ["a"])
  })

  it("repeats its draws only behind `independent`", () => {
    assert.deepStrictEqual(succeed("/run/r/repeatable/a/independent/v1").place.attempt, [])
  })

  it("formats what it reads", () => {
    const path = "/run/r/replication/independent/repeatable/a%2Fb/fork/f"
    assert.strictEqual(Place.format(succeed(path).place), path)
  })
})

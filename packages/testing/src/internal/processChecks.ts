import { assert } from "@effect/vitest"
import { headOf, type Line, type Stored } from "./processProtocol.ts"

type Runs = ReadonlyArray<ReadonlyArray<Line>>

/** The samples of each answered request. */
const requestsOf = (runs: Runs) =>
  runs.flat().filter((line) => line._tag === "Answered").map(({ prompt, request, size }) => ({
    prompt,
    request,
    heads: Array.from({ length: size }, (_, i) => headOf(request, i, size, prompt))
  }))

type Requests = ReturnType<typeof requestsOf>

/** The sequence of each prompt. Checks that each sample is whole, belongs to the prompt, and is stored once. */
const sequencesOf = (stored: ReadonlyArray<Stored>, requests: Requests) => {
  const prompts = new Map(requests.flatMap(({ heads, prompt }) => heads.map((head) => [head, prompt])))
  const places = new Map<string, string>()
  const sequences = new Map<string, Map<number, string>>()
  for (const { head, position, prompt } of stored) {
    const place = `position ${position} of "${prompt}"`
    assert.strictEqual(prompts.get(head), prompt, `${place} is not a sample that was requested for it: ${head}`)
    assert.isUndefined(places.get(head), `${place} is a sample that is at ${places.get(head)} too: ${head}`)
    places.set(head, place)
    const sequence = sequences.get(prompt) ?? new Map<number, string>()
    sequences.set(prompt, sequence.set(position, head))
  }
  return sequences
}

/** Checks that every sample of an answered request is stored once. */
export const checkStored = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const requests = requestsOf(runs)
  sequencesOf(stored, requests)
  const heads = new Set(stored.map(({ head }) => head))
  for (const head of requests.flatMap(({ heads }) => heads)) {
    assert.isTrue(heads.has(head), `a requested sample is lost: ${head}`)
  }
}

/** Checks that all samples of a request are stored once, or none. */
export const checkKilled = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const requests = requestsOf(runs)
  sequencesOf(stored, requests)
  const present = new Set(stored.map(({ head }) => head))
  for (const { heads, request } of requests) {
    const there = heads.filter((head) => present.has(head)).length
    assert.isTrue(
      there === 0 || there === heads.length,
      `${there} of the ${heads.length} samples of ${request} are stored`
    )
  }
}

/** Checks that no process failed. */
export const checkErrors = (runs: Runs): void => {
  for (const line of runs.flat()) if (line._tag === "Failed") assert.fail(`a process failed: ${line.error}`)
}

/** Checks that the processes received the stored samples. */
export const checkSeen = (stored: ReadonlyArray<Stored>, runs: Runs): void => {
  const sequences = new Map<string, Array<string | undefined>>()
  for (const { head, position, prompt } of stored) {
    const sequence = sequences.get(prompt) ?? []
    sequence[position] = head
    sequences.set(prompt, sequence)
  }
  for (const run of runs) {
    const independent = new Map<string, Array<string>>()
    for (const { head, position, prompt } of run.filter((line) => line._tag === "Seen")) {
      if (position === undefined) independent.set(prompt, [...independent.get(prompt) ?? [], head])
      else {assert.strictEqual(
          head,
          sequences.get(prompt)?.[position],
          `the sample that a process received at ${position} of "${prompt}"`
        )}
    }
    // A shared reader gives each position once.
    for (const [prompt, heads] of independent) {
      assert.sameMembers(heads, (sequences.get(prompt) ?? []).slice(0, heads.length) as Array<string>, prompt)
    }
  }
}

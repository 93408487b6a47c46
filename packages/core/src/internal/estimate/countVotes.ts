import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import type { Majority } from "../../Estimate.ts"

/** Counts the votes of every answer. */
export const countVotes = <A>(answers: Iterable<A | undefined>): Majority<A> => {
  const groups: Array<{ readonly answer: A; votes: number }> = []
  const groupOf = MutableHashMap.empty<A, (typeof groups)[number]>()
  for (const answer of answers) {
    if (answer === undefined) continue
    const group = Option.getOrElse(MutableHashMap.get(groupOf, answer), () => {
      const group = { answer, votes: 0 }
      groups.push(group)
      MutableHashMap.set(groupOf, answer, group)
      return group
    })
    group.votes++
  }
  const none: { readonly answer: A | undefined; readonly votes: number } = { answer: undefined, votes: 0 }
  return {
    ...groups.reduce((one, other) => other.votes > one.votes ? other : one, none),
    counts: new Map(groups.map(({ answer, votes }) => [answer, votes]))
  }
}

import type { KeyReport } from "../../Audit.ts"
import { forkSuffix } from "../errors/forkSuffix.ts"

/** A sentence for each fault of a report. */
export const faultsOf = (report: KeyReport): ReadonlyArray<string> => {
  const { handedOutTwice, racing, repeatedResponses, sharedWithOthers } = report
  const samples = samplesOf(report)
  return [
    ...sharedWithOthers.length === 0 ? [] : [
      `${samples} those at ${
        some(sharedWithOthers)
      } went to more than one Independent. A part of the program that runs ` +
      "more than once provides Independent.layer each time: leave IndependentModel in its requirements and provide the " +
      "layer once, around all of them, or run each in a fork"
    ],
    ...racing === 0 ? [] : [racesOf(report)],
    ...handedOutTwice.length === 0 ? [] : [
      `${samples} those at ${some(handedOutTwice)} were handed out twice. The watched model is not independent: ` +
      "check the layers beneath it"
    ],
    ...repeatedResponses.length === 0 ? [] : [
      `${samples} some came by the responses ${some(repeatedResponses)}, which came more than once. A cache between ` +
      "the program and the provider answered: turn it off"
    ]
  ]
}

const samplesOf = ({ handedOut, identity, path, prompt, watch }: KeyReport): string =>
  `${watch}: of ${handedOut} samples of ${JSON.stringify(prompt.slice(0, 50).toWellFormed())} (${identity}${
    forkSuffix(path)
  })`

/** A sentence about the races of a report. */
export const racesOf = (report: KeyReport): string =>
  `${samplesOf(report)} ${report.racing} went to draws that raced, so a replay may give them to other fibers. Run ` +
  "each fiber in a fork of its own"

const some = (items: ReadonlyArray<number | string>): string =>
  `${items.slice(0, 10).join(", ")}${items.length > 10 ? ", …" : ""}`

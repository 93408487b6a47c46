import * as DiagnosticsChannel from "node:diagnostics_channel"

/** A cassette that opened. */
export interface Opened {
  /** Whether it outlives its test, as in `it.layer`, and one of its tests failed. */
  hasFailedTest: () => boolean
}

/** Cassettes publish that they open, and the setup of Vitest, which sees the tests, answers. */
export const opened = DiagnosticsChannel.channel("@llm-cache/testing/opened")

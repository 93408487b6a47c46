import type { Receipt } from "@llm-cache/core/Trace"
import { count } from "../output/format.ts"

/** A receipt for rows and `--json`. */
export const receiptFields = (receipt: Receipt) => ({
  asked: receipt.asked,
  replayed: receipt.replayed,
  bought: receipt.bought,
  missed: receipt.missed,
  bypassed: receipt.bypassed,
  racing: receipt.racing,
  reread: receipt.reread,
  inputTokens: receipt.inputTokens,
  outputTokens: receipt.outputTokens,
  replayedInputTokens: receipt.replayedInputTokens,
  replayedOutputTokens: receipt.replayedOutputTokens,
  isReplay: receipt.isReplay,
  exit: receipt.exit ?? null,
  failed: receipt.failed,
  isCut: receipt.isCut
})

/** A receipt in a sentence. */
export const receiptSentence = (receipt: Receipt): string => {
  const counts = (["asked", "replayed", "bought", "missed"] as const).map((name) => `${count(receipt[name])} ${name}`)
  for (const name of ["bypassed", "failed", "racing"] as const) {
    if (receipt[name] > 0) counts.push(`${count(receipt[name])} ${name}`)
  }
  const spent = count(receipt.inputTokens + receipt.outputTokens)
  const replayed = count(receipt.replayedInputTokens + receipt.replayedOutputTokens)
  return `${counts.join(", ")}; ${spent} spent and ${replayed} replayed tokens`
}

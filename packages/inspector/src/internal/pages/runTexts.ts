import * as Explain from "@llm-cache/core/Explain"
import type { Receipt } from "@llm-cache/core/Trace"
import { count, forkLabel, isoTime, modelLabel, plural } from "../format.ts"
import { document, fence, inline, tableOf } from "../markdown.ts"
import { tokensOf } from "../parts.ts"
import { receiptJson, verdictOf } from "../runInfo.ts"
import type { ForkNode } from "./forks.ts"
import type { DrawRow, RunData } from "./runData.ts"

/** What to do about races, with code in backticks; `undefined` if there are none. */
export const raceAdvice = ({ races, state }: Pick<RunData, "races" | "state">): string | undefined => {
  const path = races[0]?.other.key.path
  if (path === undefined) return undefined
  const inside = path.map((name) => `/fork/${encodeURIComponent(name)}`).join("")
  return state.isOfServer
    ? "These requests overlapped in one fork, so a replay may swap their samples. Give each worker a fork: in its base URL, such as " +
      `\`/run/${encodeURIComponent(state.name)}/independent${inside}/fork/worker-1/v1\`, or in the header ` +
      "`llm-cache-place: /fork/worker-1`."
    : "These draws overlapped in one fork, so a replay may swap their samples. Give each worker a fork: " +
      "`Fork.forEach(workers, work, { concurrency })`, or `Fork.fork(\"worker-1\")(work)`."
}

/** What a page of a cut trace lacks. */
export const cutText = ({ asked }: Receipt, draws: number): string =>
  `The trace reached its greatest size, and ends behind ${plural(draws, "draw")} of ${count(asked)}. ` +
  "The counts and the receipt are of the whole run; the lists, the chart, the forks and the samples that readers took end there."

const drawCells = ({ excerpt, isRacing, key, number, outcome, position }: DrawRow) => [
  number ?? "",
  `${outcome}${isRacing ? ", racing" : ""}`,
  excerpt ?? key.promptHash.slice(0, 8),
  position,
  forkLabel(key.path),
  modelLabel(key.identity)
]

/** The page as Markdown. */
export const runMarkdown = (data: RunData): string => {
  const { draws, firstMiss, from, info, problems, prompts, races, state, total } = data
  return document(
    `# ${inline(info.name)}`,
    ...problems.map(inline),
    info.receipt?.isCut === true && cutText(info.receipt, state.draws),
    info.receipt === undefined ? inline(info.problem ?? "") : verdictOf(info.receipt),
    info.receipt && tableOf(
      ["Asked", "Replayed", "Bought", "Missed", "Racing", "Bypassed", "Failed", "Tokens spent", "Tokens replayed"],
      [[
        info.receipt.asked,
        info.receipt.replayed,
        info.receipt.bought,
        info.receipt.missed,
        info.receipt.racing,
        info.receipt.bypassed,
        info.receipt.failed,
        info.receipt.inputTokens + info.receipt.outputTokens,
        info.receipt.replayedInputTokens + info.receipt.replayedOutputTokens
      ]]
    ),
    firstMiss && "## The first miss",
    firstMiss && fence(
      firstMiss.explanation === undefined ? firstMiss.draw.excerpt ?? "" : Explain.format(firstMiss.explanation)
    ),
    races.length > 0 && "## Races",
    raceAdvice(data),
    races.length > 0 && tableOf(
      ["Draws", "Fork", "Positions", "Prompt"],
      races.map(({ one, other }) => [
        `${one?.number ?? ""} and ${other.number ?? ""}`,
        forkLabel(other.key.path),
        `${one?.position ?? ""} and ${other.position}`,
        other.excerpt ?? other.key.promptHash.slice(0, 8)
      ])
    ),
    prompts.length > 0 && "## Prompts that cost most",
    prompts.length > 0 && tableOf(
      ["Prompt", "Model", "Asked", "Tokens spent", "Tokens replayed"],
      prompts.map((prompt) => [
        prompt.excerpt ?? prompt.promptHash.slice(0, 8),
        modelLabel(prompt.identity),
        prompt.asked,
        prompt.spentTokens,
        prompt.replayedTokens
      ])
    ),
    `## What was asked: ${count(Math.min(from + 1, total))} to ${count(from + draws.length)} of ${count(total)}`,
    draws.length > 0 && tableOf(["Request", "Outcome", "Prompt", "Position", "Fork", "Model"], draws.map(drawCells))
  )
}

/** A draw for programs. */
export const drawJson = ({ at, excerpt, isRacing, key, number, outcome, position, row }: DrawRow) => ({
  row,
  number: number ?? null,
  at: isoTime(at),
  outcome,
  isRacing,
  model: key.identity.name,
  temperature: key.identity.temperature ?? null,
  parameters: JSON.parse(key.identity.parameters),
  fork: key.path,
  hash: key.promptHash,
  prompt: excerpt ?? null,
  position
})

const forkJson = ({ counts, inside, others, path }: ForkNode): object => ({
  fork: path,
  ...counts,
  tokens: tokensOf(counts),
  inside: inside.map(forkJson),
  others
})

/** The page as JSON. */
export const runJson = (data: RunData): object => ({
  id: data.info.id,
  name: data.info.name,
  state: data.info.state,
  startedAt: isoTime(data.state.startedAt),
  lastAt: isoTime(data.state.lastAt),
  isComplete: data.isComplete,
  receipt: data.info.receipt === undefined ? null : receiptJson(data.info.receipt),
  prompts: data.prompts.map(({ excerpt, identity, promptHash, ...counts }) => ({
    model: identity.name,
    hash: promptHash,
    prompt: excerpt ?? null,
    ...counts
  })),
  forks: forkJson(data.forks),
  series: data.state.series,
  passed: data.state.passed,
  firstMiss: data.firstMiss === undefined ? null : {
    ...drawJson(data.firstMiss.draw),
    explanation: data.firstMiss.explanation === undefined ? null : Explain.format(data.firstMiss.explanation)
  },
  races: data.races.map(({ one, other }) => [one === undefined ? null : drawJson(one), drawJson(other)]),
  raceAdvice: raceAdvice(data) ?? null,
  problems: data.problems,
  from: data.from,
  total: data.total,
  draws: data.draws.map(drawJson)
})

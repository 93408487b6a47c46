import { count, forkLabel, letters, modelLabel, nameOfRun, plural, ranges } from "../format.ts"
import { document, fence, inline, tableOf } from "../markdown.ts"
import { excerpt } from "../visible.ts"
import { readersOf } from "./picture.ts"
import type { Group, PromptData } from "./promptData.ts"

/** How many of the samples are different. */
export const answersTitle = (groups: ReadonlyArray<Group>, samples: number): string =>
  samples === 0
    ? "No sample can be read"
    : groups.length === samples
    ? samples === 1 ? "One answer" : `${count(samples)} answers, all different`
    : `${plural(groups.length, "different answer")} in ${plural(samples, "sample")}`

const list = new Intl.ListFormat("en-GB")

/** How many samples are equal, in a sentence; `undefined` if all are different. */
export const equalWords = (groups: ReadonlyArray<Group>): string | undefined => {
  const total = groups.reduce((sum, group) => sum + group.count, 0)
  const equal = groups.map((group, i) => ({ n: group.count, letter: letters(i) })).filter(({ n }) => n > 1)
    .toSorted((a, b) => b.n - a.n)
  const [first, ...others] = equal
  if (first === undefined) return undefined
  if (groups.length === 1) return `All ${count(total)} samples are equal.`
  const also = others.slice(0, 3).map(({ letter, n }) => `${count(n)} others (${letter})`)
  if (others.length > 3) also.push(`the samples of ${plural(others.length - 3, "more answer")}`)
  const single = groups.length - equal.length
  return [
    `${count(first.n)} of ${count(total)} samples are equal (${first.letter})`,
    also.length > 0 && `, as are ${list.format(also)}`,
    single > 0 && `; ${count(single)} ${single === 1 ? "is" : "are"} like no other`,
    "."
  ].filter((text) => text !== false).join("")
}

/** The page as Markdown. */
export const promptMarkdown = (
  { compared, groups, hash, identity, problems, prompt, runs, sequences }: PromptData
): string =>
  document(
    `# Prompt ${hash.slice(0, 8)}`,
    inline(modelLabel(identity)),
    ...problems.map(inline),
    prompt === undefined ? "Nobody has its text." : fence(prompt),
    ...runs.flatMap(({ id, taken }) => [
      `## ${inline(nameOfRun(id))}`,
      tableOf(
        ["Reader", "Fork", "Positions"],
        readersOf(taken).map(({ label, path, taken }) => [
          label,
          forkLabel(path),
          ranges(taken.map(({ position }) => position))
        ])
      )
    ]),
    groups.length > 0 && `## ${answersTitle(groups, groups.reduce((sum, group) => sum + group.count, 0))}`,
    equalWords(groups),
    groups.length > 0 && tableOf(
      ["Answer", "Count", "Text"],
      groups.map((group, i) => [letters(i), group.count, excerpt(group.text, 160)])
    ),
    compared && `## Samples ${inline(compared.a)} and ${inline(compared.b)}`,
    compared && fence(
      compared.isEqual
        ? "equal"
        : compared.differences.flatMap(({ edits }) => edits).map(({ kind, text }) =>
          kind === "stored" ? `[-${text}-]` : kind === "asked" ? `{+${text}+}` : text
        ).join("")
    ),
    ...sequences.flatMap(({ damaged, path, samples }) => [
      `## ${path.length === 0 ? "Samples" : `Samples of the fork ${inline(forkLabel(path))}`}`,
      ...damaged.map(inline),
      ...samples.flatMap(({ drawn, position }) => [`### ${position}`, fence(drawn.text)])
    ])
  )

/** The page for programs. */
export const promptJson = (data: PromptData): object => ({
  hash: data.hash,
  model: data.identity.name,
  temperature: data.identity.temperature ?? null,
  parameters: JSON.parse(data.identity.parameters),
  prompt: data.prompt ?? null,
  isStored: data.isStored,
  from: data.from,
  total: data.total,
  distinct: data.groups.map(({ count, text }) => ({ count, text })),
  sequences: data.sequences.map(({ damaged, path, samples, total }) => ({
    fork: path,
    total,
    damaged,
    samples: samples.map(({ drawn, group, position }) => ({
      position,
      distinct: group,
      text: drawn.text,
      metadata: drawn.metadata
    }))
  })),
  runs: data.runs.map(({ id, taken }) => ({
    run: id,
    readers: readersOf(taken).map(({ label, path, taken }) => ({
      reader: label,
      fork: path,
      positions: taken.map(({ position }) => position)
    }))
  })),
  problems: data.problems,
  compared: data.compared ?? null
})

// Parses long texts with specs that search for much, and prints the results. A parser that goes back would never end.
// The argument is the length of the texts.
import { Output } from "@llm-cache/core"
import { Effect, Result, Schema } from "effect"

const nested = (depth: number): Output.Item<any> => {
  const inner = depth === 1 ? Output.code() : Output.repeat(nested(depth - 1))
  return Output.sequence([Output.tag(`t${depth}`), inner])
}

const absent = ["u", "v", "w"].map((name) => Output.repeat(Output.tag(name)))

const specs: Record<string, Output.Spec<any>> = {
  code: Output.code(),
  codes: Output.repeat(Output.code()),
  language: Output.repeat(Output.code({ language: "absent" })),
  tags: Output.repeat(Output.tag("t")),
  nested: Output.repeat(nested(60)),
  json: Output.repeat(Output.json(Schema.Unknown)),
  single: Output.json(Schema.Unknown),
  content: Output.repeat(Output.tag("t", Output.repeat(Output.json(Schema.Unknown)))),
  items: Output.repeat(Output.sequence([Output.tag("t"), ...absent, Output.repeat(Output.json(Schema.Unknown))]))
}

const units = {
  backticks: "`",
  fences: "```\n",
  opened: "```x\n",
  mixed: "~~~\n```\n",
  less: "<",
  openings: "<t>",
  tags: "<t></t>",
  both: "```\n```\n<t></t>\n",
  deep: "<t60></t60><t59></t59>",
  strings: "[\"<t></t>",
  lines: "\n",
  thoughts: "<think></think>",
  thought: "<think>",
  orphans: "x</think>",
  attributes: "<think ",
  drafts: "<think></think>```json\n1```\n",
  inline: "`<t>`",
  lengths: "`\\``<t></t>",
  named: "<t> and </t>",
  brackets: "[",
  objects: `{"a":[1]}${" ".repeat(90)}`,
  crossed: "[\"]\",",
  markers: "[1,```\n"
}

const length = Number(process.argv[2])

for (const [name, unit] of Object.entries(units)) {
  const text = unit.repeat(Math.ceil(length / unit.length))
  const results: Record<string, unknown> = {}
  for (const [spec, one] of Object.entries(specs)) {
    const result = await Effect.runPromise(Effect.result(Output.parse(one)(text)))
    results[spec] = Result.isFailure(result) ? result.failure.found : [result.success].flat().length
  }
  process.stdout.write(`${name} ${JSON.stringify(results)}\n`)
}

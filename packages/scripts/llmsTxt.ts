/**
 * Builds `llms.txt`, the index of the documentation for language models (https://llmstxt.org), from the pages in `docs` and
 * the READMEs of the packages. `--check` fails instead if the file is not up to date.
 */
import * as Fs from "node:fs"
import { published, root } from "./published.ts"
import { writeOrCheck } from "./writeOrCheck.ts"

process.chdir(root)

interface Page {
  readonly title: string
  /** The first paragraph. */
  readonly summary: string
}

const pageOf = (file: string): Page => {
  const blocks = Fs.readFileSync(file, "utf8").split(/\n{2,}/)
  const title = blocks.find((block) => block.startsWith("# "))?.slice(2)
  const paragraph = blocks.find((block) => /^[`@A-Z]/.test(block) && !block.startsWith("```"))
  if (title === undefined || paragraph === undefined) throw new Error(`${file} has no title, or no first paragraph`)
  return {
    title,
    summary: paragraph.replaceAll("\n", " ").replace(/:$/, ".").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
  }
}

const linkTo = (file: string): string => {
  const { summary, title } = pageOf(file)
  return `- [${title}](${file}): ${summary}`
}

// In the order of the index.
const linked = [...Fs.readFileSync("docs/README.md", "utf8").matchAll(/^\| \[[^\]]*\]\(([^)]*)\)/gm)].map(([, file]) =>
  `docs/${file}`
)
const pages = Fs.globSync("docs/*.md").filter((file) => file !== "docs/README.md")
const unlisted = pages.filter((file) => !linked.includes(file))
if (unlisted.length > 0) throw new Error(`docs/README.md does not list ${unlisted.join(", ")}`)

const { summary, title } = pageOf("README.md")

writeOrCheck(
  "llms.txt",
  `# ${title}

> ${summary}

The first samples of the model in the examples are "92", "747", "131", "561" and "16". Run \`pnpm docs:api\` for the reference of
every export.

## Documentation

${linked.map(linkTo).join("\n")}

## Packages

${published.map((folder) => linkTo(`${folder}/README.md`)).join("\n")}

## Optional

${
    Fs.globSync("examples/*/{main,agent}.ts").sort().map((file) =>
      `- [${file.split("/")[1]}](${file}): a whole program`
    ).join("\n")
  }
- [AGENTS.md](AGENTS.md): ${pageOf("AGENTS.md").summary}
`
)
